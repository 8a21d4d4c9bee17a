// Gradients
