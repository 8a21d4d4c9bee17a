import ArgumentParser
import Verbena

/// A value of an option that goes by a name, or several.
protocol Named: CaseIterable, Equatable, Sendable {
    /// As it is printed.
    var name: String { get }
    /// Other names that users write.
    var otherNames: [String] { get }
}

extension Named {
    init?(name: String) {
        guard let value = Self.allCases.first(where: { $0.name == name.lowercased() || $0.otherNames.contains(name.lowercased()) }) else {
            return nil
        }
        self = value
    }
}

extension ElementType: Named {
    var name: String { description }

    /// The names of nccl-tests, of NumPy, and of those who count bits.
    var otherNames: [String] {
        switch self {
        case .float32: ["float", "float32", "fp32", "f32"]
        case .float64: ["double", "float64", "fp64", "f64"]
        case .float16: ["half", "float16", "fp16", "f16"]
        case .bfloat16: ["bfloat16", "bf16"]
        default: []
        }
    }
}

extension ReductionOperation: Named {
    var name: String { description }

    var otherNames: [String] {
        switch self {
        case .sum: ["sum"]
        case .average: ["avg", "average", "mean"]
        case .product: ["prod", "product"]
        case .minimum: ["min", "minimum"]
        case .maximum: ["max", "maximum"]
        }
    }
}

extension CollectiveKind: Named {
    var name: String { rawValue }

    var otherNames: [String] {
        switch self {
        case .allReduce: ["all_reduce", "all-reduce"]
        case .reduceScatter: ["reducescatter", "reduce-scatter"]
        case .allGather: ["all_gather", "all-gather"]
        case .allToAll: ["all_to_all", "all-to-all"]
        case .broadcast: ["bcast"]
        case .sendReceive: ["send_recv", "sendreceive"]
        default: []
        }
    }
}

extension Algorithm: Named {
    var name: String { rawValue }
    var otherNames: [String] { [] }
}

/// One value, or `all` of them in turn.
enum Choice<Value: Named>: ExpressibleByArgument, Equatable, Sendable {
    case one(Value)
    case all

    init?(argument: String) {
        if argument.lowercased() == "all" {
            self = .all
        } else if let value = Value(name: argument) {
            self = .one(value)
        } else {
            return nil
        }
    }

    var values: [Value] {
        switch self {
        case .one(let value): [value]
        case .all: Array(Value.allCases)
        }
    }

    static var allValueStrings: [String] { Value.allCases.map(\.name) + ["all"] }
    var defaultValueDescription: String { values.count == 1 ? values[0].name : "all" }
}

/// The one value of an option.
struct Only<Value: Named>: ExpressibleByArgument, Equatable, Sendable {
    var value: Value

    init(_ value: Value) { self.value = value }

    init?(argument: String) {
        guard let value = Value(name: argument) else { return nil }
        self.value = value
    }

    static var allValueStrings: [String] { Value.allCases.map(\.name) }
    var defaultValueDescription: String { value.name }
}

/// The root of a collective that has one: a rank, or every rank in turn.
enum RootChoice: ExpressibleByArgument, Equatable, Sendable {
    case rank(Int)
    case all

    /// nccl-tests write every rank as `all`, earlier ones as -1.
    init?(argument: String) {
        if argument.lowercased() == "all" || argument == "-1" {
            self = .all
        } else if let rank = Int(argument), rank >= 0 {
            self = .rank(rank)
        } else {
            return nil
        }
    }

    func roots(worldSize: Int) -> [Int] {
        switch self {
        case .rank(let rank): [rank]
        case .all: Array(0..<worldSize)
        }
    }

    var defaultValueDescription: String {
        switch self {
        case .rank(let rank): "\(rank)"
        case .all: "all"
        }
    }
}

/// Whose time is reported: the numbers of nccl-tests.
enum TimeOf: Int, ExpressibleByArgument, CaseIterable, Codable, Sendable {
    case firstRank = 0
    case average = 1
    case fastest = 2
    case slowest = 3

    func combine(_ times: [Double]) -> Double {
        switch self {
        case .firstRank: times.first ?? 0
        case .average: times.isEmpty ? 0 : times.reduce(0, +) / Double(times.count)
        case .fastest: times.min() ?? 0
        case .slowest: times.max() ?? 0
        }
    }

    var defaultValueDescription: String { "\(rawValue)" }
}
