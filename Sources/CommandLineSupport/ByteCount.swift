public import ArgumentParser

/// A number of bytes as users of perf tools and trainers write it: `4096`, `64K`, `0.5G`, `1MB`, `1KiB`; all suffixes are binary.
public struct ByteCount: ExpressibleByArgument, Equatable {
    public var value: Int

    public init(_ value: Int) { self.value = value }

    /// A fraction of a byte is dropped, as nccl-tests drop it.
    public init?(argument: String) {
        let text = argument.lowercased()
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text.dropFirst(digits.count)
        let shifts: [Character: Int] = ["k": 10, "m": 20, "g": 30]
        let shift = unit.first.flatMap { shifts[$0] } ?? 0
        guard (shift > 0 ? ["", "b", "ib"] : ["", "b"]).contains(shift > 0 ? unit.dropFirst() : unit) else { return nil }
        if let whole = Int(digits) {
            guard whole <= Int.max >> shift else { return nil }
            value = whole << shift
        } else {
            guard let number = Double(digits), let bytes = Int(exactly: (number * Double(1 << shift)).rounded(.down)) else { return nil }
            value = bytes
        }
    }

    public var defaultValueDescription: String {
        for (shift, suffix) in [(30, "G"), (20, "M"), (10, "K")] where value > 0 && value % (1 << shift) == 0 {
            return "\(value >> shift)\(suffix)"
        }
        return "\(value)"
    }
}
