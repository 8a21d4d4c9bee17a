/// Writes Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/
struct Exposition {
    enum Kind: String { case counter, gauge, histogram }

    let rank: Int
    private(set) var text = ""

    init(rank: Int) { self.rank = rank }

    /// A family without a sample is not written.
    mutating func family(_ name: String, _ kind: Kind, _ help: String, _ samples: [(labels: [(String, String)], value: Double)]) {
        if samples.isEmpty { return }
        head(name, kind, help)
        for sample in samples { line(name, sample.labels, sample.value) }
    }

    /// - Parameter counts: by bound, of what is not in a smaller one; what is above all bounds is the rest of `count`.
    mutating func histogram(_ name: String, _ help: String, bounds: [Double], counts: [Int], sum: Double, count: Int) {
        head(name, .histogram, help)
        var below = 0
        for (bound, inside) in zip(bounds, counts) {
            below += inside
            line("\(name)_bucket", [("le", Self.number(bound))], Double(below))
        }
        line("\(name)_bucket", [("le", "+Inf")], Double(count))
        line("\(name)_sum", [], sum)
        line("\(name)_count", [], Double(count))
    }

    private mutating func head(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(name) \(Self.escaped(help, quoted: false))\n# TYPE \(name) \(kind.rawValue)\n"
    }

    private mutating func line(_ name: String, _ labels: [(String, String)], _ value: Double) {
        let all = ([("rank", "\(rank)")] + labels).map { "\($0.0)=\"\(Self.escaped($0.1, quoted: true))\"" }.joined(separator: ",")
        text += "\(name){\(all)} \(Self.number(value))\n"
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        return Int(exactly: value).map(String.init) ?? "\(value)"
    }

    private static func escaped(_ text: String, quoted: Bool) -> String {
        let safe = text.replacing("\\", with: "\\\\").replacing("\n", with: "\\n").replacing("\r", with: " ")
        return quoted ? safe.replacing("\"", with: "\\\"") : safe
    }
}
