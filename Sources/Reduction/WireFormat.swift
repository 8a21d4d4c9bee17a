/// How `float` elements travel between ranks. Sums are taken in `float` whatever the format.
///
/// | format | bytes of an element | largest error of an element | range |
/// |---|---|---|---|
/// | plain (fp32) | 4 | none | all |
/// | bfloat16 | 2 | 2^-8 of it | that of `float` |
/// | float16 | 2 | 2^-11 of it, 2^-25 below 2^-14 | 65,504 |
/// | int8 | 1 + 1/64 | 1/254 of the largest magnitude in its block | that of `float` |
///
/// *Special values.* A finite number stays finite: beyond the format's range it becomes the largest finite number there is, because one infinity ends
/// a training, and a clipped gradient does not. Infinities and NaN arrive as what they are, so that nobody misses them; in `int8` they make their whole
/// block NaN.
///
/// Raw values are part of the wire's operation signature: append, never renumber.
public enum WireFormat: UInt8, Sendable, Codable, CaseIterable, CustomStringConvertible {
    case plain = 0
    case bfloat16 = 1
    case float16 = 2
    case int8 = 3

    /// Elements that share one scale in `int8`. Whoever cuts a buffer at multiples of it gets the same bits for every cut.
    public static let blockElements = 256

    /// Bytes of so many elements in a row. Their blocks are counted from the first of them.
    public func byteCount(of elements: Int) -> Int {
        switch self {
        case .plain: 4 * elements
        case .bfloat16, .float16: 2 * elements
        case .int8: elements + 4 * ((elements + Self.blockElements - 1) / Self.blockElements)
        }
    }

    /// Whether gradients in this format keep what it loses for the next step: `int8` does not train without.
    public var keepsResiduals: Bool { self == .int8 }

    /// As `--wire` takes it.
    public var description: String {
        switch self {
        case .plain: "fp32"
        case .bfloat16: "bf16"
        case .float16: "fp16"
        case .int8: "int8"
        }
    }
}
