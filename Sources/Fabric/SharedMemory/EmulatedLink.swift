/// A network link of which shared memory takes the time, so that what overlaps with it can be measured on one machine.
///
/// Each rank sends with the bandwidth and receives with it, at the same time; a byte is on its way for the latency. Bytes that do not get as fast
/// through the machine's memory, or ranks that have no core when theirs are due, take longer than the link says. Nothing is added for headers.
public struct EmulatedLink: Sendable, Equatable, Hashable, Codable, CustomStringConvertible {
    /// From 1 Mbit/s to 1,000 Gbit/s.
    public let bitsPerSecond: UInt64
    /// One way; at most a second.
    public let latencyNanoseconds: UInt64

    /// - Returns: nil for what is out of bounds.
    public init?(bitsPerSecond: UInt64, latencyNanoseconds: UInt64) {
        guard 1_000_000...1_000_000_000_000 ~= bitsPerSecond, latencyNanoseconds <= 1_000_000_000 else { return nil }
        self.bitsPerSecond = bitsPerSecond
        self.latencyNanoseconds = latencyNanoseconds
    }

    /// - Parameter text: bandwidth in Mbit or Gbit (a second), comma, latency in us or ms: `10Gbit,5us`, `2.5gbit,0.2ms`.
    public init?(_ text: String) {
        let words = text.lowercased().split(separator: ",", omittingEmptySubsequences: false)
        guard words.count == 2, let bits = Self.number(words[0], ["mbit": 1e6, "gbit": 1e9]),
            let latency = Self.number(words[1], ["us": 1e3, "ms": 1e6])
        else { return nil }
        self.init(bitsPerSecond: bits, latencyNanoseconds: latency)
    }

    private static func number(_ word: Substring, _ units: [String: Double]) -> UInt64? {
        for (unit, factor) in units where word.hasSuffix(unit) {
            let digits = word.dropLast(unit.count)
            guard digits.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }), let number = Double(digits) else { return nil }
            return UInt64(exactly: (number * factor).rounded())
        }
        return nil
    }

    /// `10 Gbit/s 5 us`
    public var description: String {
        let (mega, micro) = (Double(bitsPerSecond) / 1e6, Double(latencyNanoseconds) / 1e3)
        let bandwidth = mega < 1000 ? "\(Self.short(mega)) Mbit/s" : "\(Self.short(mega / 1000)) Gbit/s"
        return bandwidth + (micro < 1000 ? " \(Self.short(micro)) us" : " \(Self.short(micro / 1000)) ms")
    }

    private static func short(_ number: Double) -> String {
        number == number.rounded() ? "\(Int(number))" : "\((number * 1000).rounded() / 1000)"
    }
}
