import Glibc

/// The C library's own, for comparison.
func referenceExponential(_ x: Double) -> Double { exp(x) }
func referenceLogarithm(_ x: Double) -> Double { log(x) }

/// What `Elements.exponentials` computes, one number at a time.
func exponential(ofNonPositive x: Float) -> Float {
    guard x <= 0 else { return .nan }
    if x < -104 { return 0 }
    let wide = Double(x)
    let k = (wide * 1.442_695_040_888_963_4).rounded()
    let r = wide - k * 0.693_147_180_559_945_3
    var sum = 1.0
    for term in stride(from: 11.0, through: 1, by: -1) { sum = 1 + r / term * sum }
    return Float(sum * Double(sign: .plus, exponent: Int(k), significand: 1))
}
