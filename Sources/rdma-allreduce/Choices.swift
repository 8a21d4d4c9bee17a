public import ArgumentParser
public import Verbena

/// A value of an option that goes by one name or several.
protocol Named: CaseIterable, Equatable, Sendable {
    /// In lower case. The first is the one that is printed.
    var names: [String] { get }
}

extension Named {
    var name: String { names[0] }

    init?(name: String) {
        guard let value = Self.allCases.first(where: { $0.names.contains(name.lowercased()) }) else { return nil }
        self = value
    }
}

extension ElementType: Named {
    /// Those of nccl-tests, of NumPy, and of those who count bits.
    var names: [String] {
        switch self {
        case .float32: ["float", "float32", "fp32", "f32"]
        case .float64: ["double", "float64", "fp64", "f64"]
        case .float16: ["half", "float16", "fp16", "f16"]
        case .bfloat16: ["bfloat16", "bf16"]
        default: [description]
        }
    }
}

extension ReductionOperation: Named {
    var names: [String] {
        switch self {
        case .sum: ["sum"]
        case .average: ["avg", "average", "mean"]
        case .product: ["prod", "product"]
        case .minimum: ["min", "minimum"]
        case .maximum: ["max", "maximum"]
        }
    }
}

extension CollectiveKind: Named, ExpressibleByArgument {
    init?(argument: String) { self.init(name: argument) }

    var defaultValueDescription: String { name }

    var names: [String] {
        switch self {
        case .allReduce: [rawValue, "all_reduce", "all-reduce"]
        case .reduceScatter: [rawValue, "reducescatter", "reduce-scatter"]
        case .allGather: [rawValue, "all_gather", "all-gather"]
        case .allToAll: [rawValue, "all_to_all", "all-to-all"]
        case .broadcast: [rawValue, "bcast"]
        case .sendReceive: [rawValue, "send_recv", "sendreceive"]
        default: [rawValue]
        }
    }
}

extension Algorithm: Named, ExpressibleByArgument {
    public init?(argument: String) { self.init(name: argument) }

    var names: [String] { [rawValue] }
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

/// Who has taken the memory that is exchanged.
enum BufferOwner: String, ExpressibleByArgument, CaseIterable, Codable, Sendable { case engine, caller }

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
