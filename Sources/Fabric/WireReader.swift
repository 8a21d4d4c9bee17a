/// Reads what `WireWriter` wrote; every read past the end is nil, so that a short message is an error and not a trap.
public struct WireReader: Sendable {
    private let bytes: [UInt8]
    private var position = 0

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    public var isAtEnd: Bool { position == bytes.count }

    public mutating func read<Value: FixedWidthInteger>(_: Value.Type = Value.self) -> Value? {
        guard bytes.count - position >= Value.bitWidth / 8 else { return nil }
        var value: Value = 0
        for _ in 0..<Value.bitWidth / 8 {
            value = value << 8 | Value(truncatingIfNeeded: bytes[position])
            position += 1
        }
        return value
    }

    public mutating func read(count: Int) -> [UInt8]? {
        guard count >= 0, bytes.count - position >= count else { return nil }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }
}
