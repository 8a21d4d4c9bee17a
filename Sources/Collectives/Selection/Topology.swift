/// Which ranks see each other's memory. A machine is a set of ranks that do; a rank that sees nobody's is a machine of its own.
///
/// Immutable, and shared by all that hold it: for thousands of ranks it is large.
public final class Topology: Sendable, Equatable {
    public let worldSize: Int
    /// All ranks, machine by machine, ascending inside each; machines in the order of their first ranks.
    private let ranks: [Int]
    /// Where each machine begins in `ranks`, and the end.
    private let starts: [Int]
    private let machines: [Int]
    /// Places that every machine has: the ranks of the smallest one.
    public let places: Int
    /// Several machines of several ranks each: what is reduced inside a machine first. Where some have more than twice as many ranks as others,
    /// those of the common places would do too much of the work alone.
    public let isNested: Bool

    /// - Parameter machineOfRank: any names; equal ones are one machine.
    public init<Name: Hashable>(machineOfRank: [Name]) {
        worldSize = machineOfRank.count
        var numbers: [Name: Int] = [:]
        var members: [[Int]] = []
        machines = machineOfRank.enumerated().map { rank, name in
            if let known = numbers[name] {
                members[known].append(rank)
                return known
            }
            numbers[name] = members.count
            members.append([rank])
            return members.count - 1
        }
        ranks = members.flatMap { $0 }
        starts = members.reduce(into: [0]) { $0.append($0.last! + $1.count) }
        let sizes = members.map(\.count)
        places = sizes.min() ?? 1
        isNested = members.count > 1 && places > 1 && (sizes.max() ?? 1) <= 2 * places
    }

    /// All ranks on one machine.
    public static func oneMachine(worldSize: Int) -> Topology { Topology(machineOfRank: Array(repeating: 0, count: worldSize)) }

    /// Nobody sees anybody's memory.
    public static func apart(worldSize: Int) -> Topology { Topology(machineOfRank: Array(0..<worldSize)) }

    public var machineCount: Int { starts.count - 1 }
    public var isOneMachine: Bool { machineCount == 1 }

    public func machine(of rank: Int) -> Int { machines[rank] }
    public func size(ofMachine machine: Int) -> Int { starts[machine + 1] - starts[machine] }
    public func rank(_ local: Int, ofMachine machine: Int) -> Int { ranks[starts[machine] + local] }
    /// The rank's place among those of its machine.
    public func local(of rank: Int) -> Int {
        let machine = machines[rank]
        return ranks[starts[machine]..<starts[machine + 1]].firstIndex(of: rank)! - starts[machine]
    }

    public static func == (left: Topology, right: Topology) -> Bool {
        left === right || (left.ranks == right.ranks && left.starts == right.starts)
    }
}

/// Part `index` of `range` cut into `parts`; the first ones have one element more where it does not come out even.
func part(_ index: Int, of parts: Int, in range: Range<Int>) -> Range<Int> {
    let (size, rest) = range.count.quotientAndRemainder(dividingBy: parts)
    let start = range.lowerBound + index * size + min(index, rest)
    return start..<start + size + (index < rest ? 1 : 0)
}
