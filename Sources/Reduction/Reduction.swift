// Reduction
