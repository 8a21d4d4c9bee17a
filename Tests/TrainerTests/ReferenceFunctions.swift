import Glibc

/// The C library's own, for comparison.
func referenceExponential(_ x: Double) -> Double { exp(x) }
func referenceLogarithm(_ x: Double) -> Double { log(x) }
