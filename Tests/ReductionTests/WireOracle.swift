import Reduction

/// What the wire formats are held against: plain Swift, one element at a time.
struct WireOracle {
    let format: WireFormat

    /// Bytes as they travel, and what is left over where there was a residual.
    func encode(_ values: [Float], residual: [Float]?) -> (bytes: [UInt8], residual: [Float]?) {
        let wanted = residual.map { zip(values, $0).map(+) } ?? values
        let bytes =
            format == .int8
            ? stride(from: 0, to: wanted.count, by: WireFormat.blockElements).flatMap { start in
                block(Array(wanted[start..<min(wanted.count, start + WireFormat.blockElements)]))
            } : wanted.flatMap { little(half($0)) }
        let sent = decode(bytes, count: values.count)
        // Of a block with a NaN nothing is known, and nothing is left.
        let rest = zip(wanted, sent).map { $0.isFinite && $1.isFinite ? $0 - $1 : 0 }
        return (bytes, residual == nil ? nil : rest)
    }

    func decode(_ bytes: [UInt8], count: Int) -> [Float] {
        var values: [Float] = []
        var place = 0
        while values.count < count {
            if format == .int8 {
                let block = min(WireFormat.blockElements, count - values.count)
                let scale = Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[place + $1]) << (8 * UInt32($1)) })
                values += bytes[place + 4..<place + 4 + block].map { scale.isNaN ? .nan : Float(Int8(bitPattern: $0)) * scale }
                place += 4 + block
            } else {
                let bits = UInt16(bytes[place]) | UInt16(bytes[place + 1]) << 8
                let value = format == .bfloat16 ? BFloat16(bitPattern: bits).float : Float(Float16(bitPattern: bits))
                values.append(value.isNaN ? .nan : value)
                place += 2
            }
        }
        return values
    }

    private func half(_ value: Float) -> UInt16 {
        if value.isNaN { return format == .bfloat16 ? 0x7fc0 : 0x7e00 }
        let largest = format == .bfloat16 ? BFloat16(bitPattern: 0x7f7f).float : 65504
        let finite = value.isInfinite ? value : min(max(value, -largest), largest)
        return format == .bfloat16 ? BFloat16(finite).bitPattern : Float16(finite).bitPattern
    }

    private func block(_ values: [Float]) -> [UInt8] {
        let isSpecial = values.contains { !$0.isFinite }
        let largest = min(values.reduce(0) { max($0, $1.magnitude) }, 0x1.fffffp127)
        let isNothing = isSpecial || largest < 0x1p-100
        let scale = isSpecial ? Float.nan : isNothing ? 0 : largest / 127
        let codes = values.map { isNothing ? 0 : Int8(($0 * (127 / largest)).rounded(.toNearestOrEven)) }
        return little(scale.bitPattern) + codes.map { UInt8(bitPattern: $0) }
    }

    private func little<I: FixedWidthInteger>(_ value: I) -> [UInt8] {
        (0..<I.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (8 * I($0))) }
    }
}
