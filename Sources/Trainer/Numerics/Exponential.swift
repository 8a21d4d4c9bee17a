/// e^x for x <= 0, from the four basic operations alone; NaN for anything else.
///
/// Softmax puts it into every gradient, and C libraries differ in its last bit from version to version and between
/// processors. This one gives the same bits everywhere. Error: below 0.51 units in the last place of `Float`.
/// Method: x = k ln 2 + r with |r| <= ln 2 / 2, e^x = 2^k e^r, and the Taylor series of e^r in `Double`.
func exponential(ofNonPositive x: Float) -> Float {
    guard x <= 0 else { return .nan }
    // Below, the result is less than half of the smallest `Float`; also keeps 2^k a normal `Double`.
    if x < -104 { return 0 }
    let wide = Double(x)
    let k = (wide * 1.442_695_040_888_963_4).rounded()
    let r = wide - k * 0.693_147_180_559_945_3
    var sum = 1.0
    for term in stride(from: 11.0, through: 1, by: -1) {
        sum = 1 + r / term * sum
    }
    return Float(sum * Double(sign: .plus, exponent: Int(k), significand: 1))
}
