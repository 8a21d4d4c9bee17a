public import ArgumentParser

/// A number of bytes as users of perf tools and trainers write it: `4096`, `64K`, `32M`, `1G`; the suffixes are binary.
public struct ByteCount: ExpressibleByArgument, Equatable {
    public var value: Int

    public init(_ value: Int) { self.value = value }

    public init?(argument: String) {
        let suffixes: [Character: Int] = ["k": 10, "m": 20, "g": 30]
        let shift = argument.last.flatMap { suffixes[Character($0.lowercased())] }
        let digits = shift == nil ? argument[...] : argument.dropLast()
        guard let number = Int(digits), number >= 0, number <= Int.max >> (shift ?? 0) else { return nil }
        value = number << (shift ?? 0)
    }

    public var defaultValueDescription: String {
        for (shift, suffix) in [(30, "G"), (20, "M"), (10, "K")] where value > 0 && value % (1 << shift) == 0 {
            return "\(value >> shift)\(suffix)"
        }
        return "\(value)"
    }
}
