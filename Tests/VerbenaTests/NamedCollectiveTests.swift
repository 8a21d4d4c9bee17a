import Testing
import Verbena

/// Each collective by its name, blocking and started, out of place and in place, with the counts that the buffers give.
// SAFETY (whole file): buffers are read and written between collectives only, while their communicator is open.
@Suite(.serialized) struct NamedCollectiveTests {
    @Test(arguments: Fabrics.available, [false, true]) func outOfPlace(fabric: FabricChoice, isStarted: Bool) throws {
        try Self.run(fabric) { world, whole, part in
            let (sums, rank) = (Self.sums, world.rank)
            let (wide, narrow) = (try world.allocate(Int32.self, count: 6), try world.allocate(Int32.self, count: 2))
            try Self.expect("allReduce", wide, sums) {
                if isStarted { try world.startAllReduce(whole, into: wide).wait() } else { try world.allReduce(whole, into: wide) }
            }
            try Self.expect("allReduce, largest", wide, Self.values(2, 0..<6)) {
                if isStarted {
                    try world.startAllReduce(whole, into: wide, .maximum).wait()
                } else {
                    try world.allReduce(whole, into: wide, .maximum)
                }
            }
            try Self.expect("reduceScatter", narrow, Array(sums[2 * rank..<2 * rank + 2])) {
                if isStarted {
                    try world.startReduceScatter(whole, into: narrow).wait()
                } else {
                    try world.reduceScatter(whole, into: narrow)
                }
            }
            try Self.expect("allGather", wide, (0..<3).flatMap { Self.values($0, 0..<2) }) {
                if isStarted { try world.startAllGather(part, into: wide).wait() } else { try world.allGather(part, into: wide) }
            }
            try Self.expect("allToAll", wide, (0..<3).flatMap { Self.values($0, 2 * rank..<2 * rank + 2) }) {
                if isStarted { try world.startAllToAll(whole, into: wide).wait() } else { try world.allToAll(whole, into: wide) }
            }
            try Self.expect("reduce", wide, rank == 2 ? sums : nil) {
                if isStarted {
                    try world.startReduce(whole, into: wide, root: 2).wait()
                } else {
                    try world.reduce(whole, into: wide, root: 2)
                }
            }
            try Self.expect("gather", wide, rank == 1 ? (0..<3).flatMap { Self.values($0, 0..<2) } : nil) {
                if isStarted {
                    try world.startGather(part, into: wide, root: 1).wait()
                } else {
                    try world.gather(part, into: wide, root: 1)
                }
            }
            try Self.expect("scatter", narrow, Self.values(1, 2 * rank..<2 * rank + 2)) {
                if isStarted {
                    try world.startScatter(whole, into: narrow, root: 1).wait()
                } else {
                    try world.scatter(whole, into: narrow, root: 1)
                }
            }
            if isStarted { try world.startBarrier().wait() } else { try world.barrier(timeout: .seconds(3_000)) }
            try Self.expect("broadcast", whole, Self.values(2, 0..<6)) {
                if isStarted { try world.startBroadcast(whole, root: 2).wait() } else { try world.broadcast(whole, root: 2) }
            }
        }
    }

    @Test(arguments: Fabrics.available) func inPlace(fabric: FabricChoice) throws {
        try Self.run(fabric) { world, whole, _ in
            let rank = world.rank
            func refill() { for index in 0..<6 { unsafe whole.elements[index] = Self.value(rank, index) } }
            try Self.expect("allReduce", whole, Self.sums) { try world.allReduce(whole) }
            refill()
            try Self.expect("allGather", whole, (0..<3).flatMap { Self.values($0, 2 * $0..<2 * $0 + 2) }) { try world.allGather(whole) }
            refill()
            try world.reduceScatter(whole)
            guard unsafe Array(whole.elements[2 * rank..<2 * rank + 2]) == Array(Self.sums[2 * rank..<2 * rank + 2]) else {
                throw Wrong("reduceScatter in place")
            }
            // Seven elements are no three equal parts; a count says which are meant.
            let odd = try world.allocate(Int32.self, count: 7)
            for call in [{ try world.allGather(odd) }, { try world.reduceScatter(odd) }, { try world.allToAll(odd, into: whole) }] {
                let outcome = Result { try call() }
                expectError(outcome, .configuration, ["7 elements are not 3 equal parts"])
            }
            try world.allGather(odd, count: 2)
        }
    }

    private static func value(_ rank: Int, _ index: Int) -> Int32 { Int32(100 * rank + index) }
    private static func values(_ rank: Int, _ range: Range<Int>) -> [Int32] { range.map { value(rank, $0) } }
    private static let sums = (0..<6).map { Int32(300 + 3 * $0) }

    /// - Parameter wanted: nil where the result is not this rank's.
    private static func expect(_ name: String, _ output: Buffer<Int32>, _ wanted: [Int32]?, _ call: () throws -> Void) throws {
        try call()
        guard let wanted, unsafe Array(output.elements) != wanted else { return }
        throw Wrong("\(name): \(unsafe Array(output.elements)), wanted \(wanted)")
    }

    /// With six and with two elements of this rank's on each of three ranks.
    private static func run(
        _ fabric: FabricChoice, _ body: @escaping @Sendable (Communicator, Buffer<Int32>, Buffer<Int32>) throws -> Void
    ) throws {
        let outcomes = LocalRanks.run(3, fabric: fabric) { world in
            let (whole, part) = (try world.allocate(Int32.self, count: 6), try world.allocate(Int32.self, count: 2))
            for index in 0..<6 { unsafe whole.elements[index] = value(world.rank, index) }
            for index in 0..<2 { unsafe part.elements[index] = value(world.rank, index) }
            try body(world, whole, part)
        }
        for outcome in outcomes { _ = try outcome.get() }
    }
}
