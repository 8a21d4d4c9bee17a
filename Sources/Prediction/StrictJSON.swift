internal import Foundation

/// A JSON object of which every field must be known, and every value of its kind and in its range. Errors are one line that names the file and the field.
struct StrictObject {
    private let values: [String: Any]
    /// Where it is, for messages: the file's name, and the path inside.
    let place: String

    /// - Throws: `PredictionError` where the bytes are no JSON object.
    init(_ bytes: [UInt8], place: String) throws {
        let parsed: Any
        do { parsed = try JSONSerialization.jsonObject(with: Data(bytes)) } catch {
            throw PredictionError("\(place): no whole JSON document; is the file cut off?")
        }
        try self.init(parsed, place: place)
    }

    private init(_ value: Any, place: String) throws {
        guard let values = value as? [String: Any] else { throw PredictionError("\(place): give a JSON object") }
        self.values = values
        self.place = place
    }

    func allow(_ fields: [String]) throws {
        guard let unknown = values.keys.sorted().first(where: { !fields.contains($0) }) else { return }
        throw PredictionError("\(place): unknown field '\(unknown)'; known are \(fields.joined(separator: ", "))")
    }

    var fields: [String] { values.keys.sorted() }

    func string(_ field: String, default value: String? = nil) throws -> String {
        guard let found = values[field] else {
            if let value { return value }
            throw PredictionError("\(place): '\(field)' is missing; give a text")
        }
        guard let text = found as? String else { throw PredictionError("\(place): '\(field)' is no text") }
        return text
    }

    func number(_ field: String, default value: Double? = nil, in range: ClosedRange<Double> = 0...1e15) throws -> Double {
        guard let found = values[field] else {
            if let value { return value }
            throw PredictionError("\(place): '\(field)' is missing; give a number")
        }
        return try Self.number(found, "\(place): '\(field)'", in: range)
    }

    private static func number(_ value: Any, _ place: String, in range: ClosedRange<Double>) throws -> Double {
        guard let number = value as? NSNumber, !isBoolean(number) else { throw PredictionError("\(place) is no number") }
        guard range.contains(number.doubleValue) else {
            throw PredictionError("\(place) is \(number); give \(text(range.lowerBound)) to \(text(range.upperBound))")
        }
        return number.doubleValue
    }

    /// JSON's true and false are numbers to Foundation.
    private static func isBoolean(_ number: NSNumber) -> Bool {
        // SAFETY: the number's type is a text that lives as long as the program.
        unsafe String(cString: number.objCType) == "c"
    }

    private static func text(_ value: Double) -> String { value == value.rounded() && abs(value) < 1e9 ? "\(Int(value))" : "\(value)" }

    func integer(_ field: String, default value: Int? = nil, in range: ClosedRange<Int>) throws -> Int {
        let number = try number(field, default: value.map(Double.init), in: Double(range.lowerBound)...Double(range.upperBound))
        guard number == number.rounded() else { throw PredictionError("\(place): '\(field)' is \(number); give a whole number") }
        return Int(number)
    }

    func integers(_ field: String, in range: ClosedRange<Int>) throws -> [Int] {
        guard let found = values[field] as? [Any] else { throw PredictionError("\(place): '\(field)' is missing; give a list of numbers") }
        return try found.enumerated().map { index, value in
            let limits = Double(range.lowerBound)...Double(range.upperBound)
            let number = try Self.number(value, "\(place): '\(field)' \(index)", in: limits)
            guard number == number.rounded() else { throw PredictionError("\(place): '\(field)' \(index) is no whole number") }
            return Int(number)
        }
    }

    func objects(_ field: String) throws -> [StrictObject] {
        guard let found = values[field] as? [Any] else { throw PredictionError("\(place): '\(field)' is missing; give a list of objects") }
        return try found.enumerated().map { try StrictObject($0.element, place: "\(place): \(field)[\($0.offset)]") }
    }

    func object(_ field: String) throws -> StrictObject? {
        try values[field].map { try StrictObject($0, place: "\(place): \(field)") }
    }
}

extension ModelProfile {
    /// From a profile's JSON; docs/PREDICTION.md has the fields.
    /// - Parameter place: what messages call it.
    public init(json bytes: [UInt8], place: String) throws {
        let file = try StrictObject(bytes, place: place)
        try file.allow(
            ["name", "batch", "samplesPerEpoch", "layers", "optimizerSeconds", "inputSeconds", "spread", "source"])
        self.init(
            name: try file.string("name"), batch: try file.integer("batch", in: 1...1_000_000_000),
            samplesPerEpoch: try file.integer("samplesPerEpoch", default: 0, in: 0...1_000_000_000_000),
            layers: try file.objects("layers").map { layer in
                try layer.allow(["name", "parameters", "forwardSeconds", "backwardSeconds"])
                return Layer(
                    name: try layer.string("name"), parameters: try layer.integers("parameters", in: 0...1_000_000_000_000),
                    forwardSeconds: try layer.number("forwardSeconds", in: 0...86_400),
                    backwardSeconds: try layer.number("backwardSeconds", in: 0...86_400))
            },
            optimizerSeconds: try file.number("optimizerSeconds", default: 0, in: 0...86_400),
            inputSeconds: try file.number("inputSeconds", default: 0, in: 0...86_400),
            spread: try file.number("spread", default: 0, in: 0...1), source: try file.string("source", default: ""))
        guard parameterCount > 0 else { throw PredictionError("\(place): no layer has a parameter; give at least one") }
        guard stepSeconds > 0 else { throw PredictionError("\(place): no layer takes any time; give forwardSeconds and backwardSeconds") }
    }
}

extension Cluster {
    /// From a cluster's JSON; docs/PREDICTION.md has the fields.
    public init(json bytes: [UInt8], place: String) throws {
        let file = try StrictObject(bytes, place: place)
        let numbers: [(String, WritableKeyPath<Cluster, Double>, ClosedRange<Double>)] = [
            ("nicGigabytesPerSecond", \.nicGigabytesPerSecond, 1e-3...1e6),
            ("latencyMicroseconds", \.latencyMicroseconds, 0...1e6),
            ("latencyJitterMicroseconds", \.latencyJitterMicroseconds, 0...1e6),
            ("memoryGigabytesPerSecond", \.memoryGigabytesPerSecond, 1e-3...1e6),
            ("memoryLatencyMicroseconds", \.memoryLatencyMicroseconds, 0...1e6),
            ("reduceGigabytesPerSecond", \.reduceGigabytesPerSecond, 1e-3...1e6),
            ("messageMicroseconds", \.messageMicroseconds, 0...1e3),
            ("oversubscription", \.oversubscription, 1...1e3),
            ("slowFactor", \.slowFactor, 1...1e3),
            ("failingSteps", \.failingSteps, 0...0.99),
            ("recoverySeconds", \.recoverySeconds, 0...1e6),
        ]
        let integers: [(String, WritableKeyPath<Cluster, Int>, ClosedRange<Int>)] = [
            ("nodes", \.nodes, 0...1_000_000), ("ranksPerNode", \.ranksPerNode, 1...1024), ("nicsPerNode", \.nicsPerNode, 1...1024),
            ("nodesPerLeaf", \.nodesPerLeaf, 0...1_000_000), ("slowNodes", \.slowNodes, 0...1_000_000),
            ("receiveBufferMegabytes", \.receiveBufferMegabytes, 1...4096),
        ]
        let known = ["name", "computeSpread", "notes"] + numbers.map(\.0) + integers.map(\.0)
        try file.allow(known)
        self.init(name: try file.string("name"))
        for (field, path, range) in numbers { self[keyPath: path] = try file.number(field, default: self[keyPath: path], in: range) }
        for (field, path, range) in integers { self[keyPath: path] = try file.integer(field, default: self[keyPath: path], in: range) }
        if file.fields.contains("computeSpread") { computeSpread = try file.number("computeSpread", in: 0...1) }
        guard let notes = try file.object("notes") else { return }
        try notes.allow(known)
        for field in notes.fields { self.notes[field] = try notes.string(field) }
    }
}
