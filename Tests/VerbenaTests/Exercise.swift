import Verbena

/// One collective with inputs that tell rank and place, and the output that belongs to them.
// SAFETY (whole file): buffers are read and written between collectives only, while their communicator is open.
struct Exercise: CustomStringConvertible {
    static let untouched: Int64 = -77

    let collective: Collective
    let count: Int
    let isInPlace: Bool
    let world: Int

    var description: String { "\(collective) of \(count), \(isInPlace ? "in" : "out of") place, \(world) ranks" }

    /// Every collective in both ways, with every root.
    static func all(world: Int, count: Int) -> [Exercise] {
        let roots = (0..<world).flatMap { [Collective.broadcast(root: $0), .reduce(root: $0), .gather(root: $0), .scatter(root: $0)] }
        return ([.allReduce, .reduceScatter, .allGather, .allToAll] + roots).flatMap { collective in
            [true, false].map {
                Exercise(collective: collective, count: count, isInPlace: $0, world: world)
            }
        }
    }

    static func value(_ rank: Int, _ index: Int) -> Int64 { Int64(rank + 1) * 1_000_003 + Int64(index) * 17 }

    private var extents: Extents { Extents(collective, worldSize: world, count: count, isInPlace: isInPlace) }

    /// Elements that buffers for it need.
    static func capacity(world: Int, count: Int) -> Int { world * count }

    /// Writes the rank's input, and a value of no meaning everywhere else.
    func fill<Values: MutableCollection>(_ input: inout Values, _ output: inout Values, rank: Int)
    where Values.Element == Int64, Values.Index == Int {
        for index in input.indices { input[index] = Self.untouched }
        for index in output.indices { output[index] = Self.untouched }
        for (index, place) in extents.input(of: rank).enumerated() { input[place] = Self.value(rank, index) }
    }

    /// What the rank's output must hold, nil where it has none.
    private func wanted(_ rank: Int) -> [Int64]? {
        func sum(_ index: Int) -> Int64 { (0..<world).reduce(0) { $0 + Self.value($1, index) } }
        switch collective {
        case .allReduce: return (0..<count).map(sum)
        case .reduce(let root): return rank == root ? (0..<count).map(sum) : nil
        case .reduceScatter: return (0..<count).map { sum(rank * count + $0) }
        case .allGather: return (0..<world * count).map { Self.value($0 / max(1, count), $0 % max(1, count)) }
        case .gather(let root): return rank == root ? (0..<world * count).map { Self.value($0 / max(1, count), $0 % max(1, count)) } : nil
        case .broadcast(let root): return (0..<count).map { Self.value(root, $0) }
        case .scatter(let root): return (0..<count).map { Self.value(root, rank * count + $0) }
        case .allToAll: return (0..<world * count).map { Self.value($0 / max(1, count), rank * count + $0 % max(1, count)) }
        case .barrier, .reduceStripes, .gatherStripes, .send, .receive: return nil
        }
    }

    func check<Values: Collection>(_ output: Values, rank: Int) throws where Values.Element == Int64, Values.Index == Int {
        guard let wanted = wanted(rank) else { return }
        let start = extents.output(of: rank).lowerBound
        for index in wanted.indices where output[start + index] != wanted[index] {
            throw Wrong("\(self), rank \(rank): \(output[start + index]) at \(index), wanted \(wanted[index])")
        }
    }

    /// Fills, runs and checks it on buffers of enough elements.
    func run(
        _ communicator: Communicator, _ input: Buffer<Int64>, _ output: Buffer<Int64>,
        by call: (Collective, Buffer<Int64>, Buffer<Int64>?, Int) throws -> Void
    ) throws {
        var (from, to) = unsafe (input.elements, output.elements)
        unsafe fill(&from, &to, rank: communicator.rank)
        try call(collective, input, isInPlace ? nil : output, count)
        unsafe try check(isInPlace ? input.elements : output.elements, rank: communicator.rank)
    }
}
