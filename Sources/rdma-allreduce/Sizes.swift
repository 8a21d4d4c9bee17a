import ArgumentParser

/// A number of bytes as users of perf tools write it: `4096`, `64K`, `32M`, `1G`; the suffixes are binary.
struct ByteCount: ExpressibleByArgument, Equatable {
    var value: Int

    init(_ value: Int) { self.value = value }

    init?(argument: String) {
        let suffixes: [Character: Int] = ["k": 10, "m": 20, "g": 30]
        let shift = argument.last.flatMap { suffixes[Character($0.lowercased())] }
        let digits = shift == nil ? argument[...] : argument.dropLast()
        guard let number = Int(digits), number >= 0, number <= Int.max >> (shift ?? 0) else { return nil }
        value = number << (shift ?? 0)
    }

    var defaultValueDescription: String {
        for (shift, suffix) in [(30, "G"), (20, "M"), (10, "K")] where value > 0 && value % (1 << shift) == 0 {
            return "\(value >> shift)\(suffix)"
        }
        return "\(value)"
    }
}

/// The sizes of a run, from the least to the most.
struct SizeSweep: Equatable {
    var least: Int
    var most: Int
    /// Added to a size for the next, unless `factor` multiplies it.
    var step: Int
    var factor: Int?
    /// Bytes of an element; sizes are rounded down to whole elements.
    var elementBytes: Int

    /// After 0, which no factor makes larger, comes one element.
    var elementCounts: [Int] {
        var counts: [Int] = []
        var size = least
        while size <= most {
            counts.append(size / elementBytes)
            let (next, overflow) =
                factor.map { size == 0 ? (elementBytes, false) : size.multipliedReportingOverflow(by: $0) }
                ?? size.addingReportingOverflow(step)
            if overflow { break }
            size = next
        }
        return counts
    }
}
