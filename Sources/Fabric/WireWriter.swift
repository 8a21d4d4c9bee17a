/// Writes fixed-width big-endian integers and bytes: the encoding of endpoints, descriptors and private data.
public struct WireWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public mutating func append(_ value: some FixedWidthInteger) {
        var shift = value.bitWidth
        while shift > 0 {
            shift -= 8
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    public mutating func append(_ more: [UInt8]) { bytes += more }
}
