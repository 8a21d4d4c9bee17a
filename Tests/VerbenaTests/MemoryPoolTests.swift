import Foundation
import Testing

@testable import Engine
@testable import Platform
@testable import Verbena

/// Memory of the job: any communicator of it takes any buffer, or a slice of one, until it is released.
// SAFETY (whole file): buffers are touched between collectives only, while they are open.
@Suite(.serialized) struct MemoryPoolTests {
    /// Ranks on one machine, ranks on devices, and pairs of ranks on nodes of their own.
    enum World: String, CaseIterable {
        case sharedMemory, verbs, mixed

        static let available = Fabrics.hasDevice ? allCases.filter { $0 != .sharedMemory || !Fabrics.areDevicesAlone } : [.sharedMemory]

        func run<R: Sendable>(_ ranks: Int, _ body: @escaping @Sendable (Communicator) throws -> R) -> LocalRanks.Outcomes<R> {
            let fabric: FabricChoice = self == .sharedMemory ? .sharedMemory : self == .verbs ? .verbs : .automatic
            let isMixed = self == .mixed
            return LocalRanks.run(
                ranks, fabric: fabric, configure: { if isMixed { $0.node = "node \($1 / 2)" } },
                { communicator in
                    guard !isMixed || communicator.fabricName == "mixed" else { throw Wrong("the fabric is \(communicator.fabricName)") }
                    return try body(communicator)
                })
        }
    }

    private static let count = 1_001

    /// In mixed worlds the halves are in shared memory and the crossing pairs on devices.
    @Test(arguments: World.available) func everyCommunicatorTakesEveryBuffer(world kind: World) throws {
        let outcomes = kind.run(4) { world in
            let half = try world.split(color: world.rank / 2, key: world.rank)!
            let crossing = try world.split(color: world.rank % 2, key: -world.rank)!
            let capacity = Exercise.capacity(world: 4, count: Self.count)
            let memory = UnsafeMutableBufferPointer<Int64>.allocate(capacity: capacity)
            defer { unsafe memory.deallocate() }
            unsafe memory.initialize(repeating: 0)
            let ofWorld = try world.allocate(Int64.self, count: capacity)
            let ofHalf = try half.allocate(Int64.self, count: capacity)
            let callers = unsafe try half.register(memory)
            for communicator in [half, crossing, world, half] {
                for (turn, exercise) in Exercise.all(world: communicator.worldSize, count: Self.count).enumerated() {
                    let (input, output) = [(ofWorld, ofHalf), (ofHalf, ofWorld), (callers, ofWorld), (ofHalf, callers)][turn % 4]
                    try exercise.run(communicator, input, output) { try communicator.perform($0, $1, into: $2, count: $3) }
                }
                for exercise in Exercise.all(world: communicator.worldSize, count: 5).prefix(7) {
                    try exercise.run(communicator, ofHalf, callers) { try communicator.start($0, $1, into: $2, count: $3).wait() }
                }
            }
            // Memory outlives the communicator that took it.
            try half.close()
            for exercise in Exercise.all(world: 4, count: 9) {
                try exercise.run(world, ofHalf, ofWorld) { try world.perform($0, $1, into: $2, count: $3) }
            }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// Two ranks alone do not make a buffer known, because the others are elsewhere.
    @Test(arguments: World.available) func transfersNeedAnAttachedBuffer(world kind: World) throws {
        let outcomes = kind.run(4) { world in
            let half = try world.split(color: world.rank / 2, key: 0)!
            let buffer = try half.allocate(Int64.self, count: 10)
            let (next, previous) = ((world.rank + 1) % 4, (world.rank + 3) % 4)
            for call in [
                { try world.send(buffer, count: 1, to: next) }, { try world.receive(buffer, count: 1, from: previous) },
                { _ = try world.startSend(buffer, count: 1, to: next) }, { _ = try world.startReceive(buffer, count: 1, from: previous) },
            ] { try Self.refused(["call attach first"], call) }
            try world.attach(buffer)
            try world.attach(buffer)
            unsafe buffer.elements[3] = Int64(world.rank)
            let receive = try world.startReceive(buffer[7..<8], count: 1, from: previous)
            try world.send(buffer[3...], count: 1, to: next)
            try receive.wait()
            guard unsafe buffer.elements[7] == Int64(previous) else { throw Wrong("\(unsafe buffer.elements[7]) came") }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    @Test(arguments: World.available) func everyCollectiveTakesSlices(world kind: World) throws {
        let outcomes = kind.run(4) { world in
            let capacity = Exercise.capacity(world: 4, count: Self.count)
            let whole = try world.allocate(Int64.self, count: 3 * capacity + 50)
            let memory = UnsafeMutableBufferPointer<Int64>.allocate(capacity: capacity + 9)
            defer { unsafe memory.deallocate() }
            unsafe memory.initialize(repeating: -3)
            let callers = unsafe try world.register(memory)
            unsafe whole.elements.update(repeating: -3)
            let (first, second, third) = (whole[17..<17 + capacity], whole[(17 + capacity)...][..<capacity], callers[7...][..<capacity])
            for (turn, exercise) in Exercise.all(world: 4, count: Self.count).enumerated() {
                let (input, output) = [(first, second), (second, third), (third, first)][turn % 3]
                try exercise.run(world, input, output) { collective, input, output, count in
                    switch turn / 3 % 3 {
                    case 0: try world.perform(collective, input, into: output, count: count)
                    case 1: try world.perform(collective, input.raw, into: output?.raw, count: count)
                    default: try world.start(collective, input, into: output, count: count).wait()
                    }
                }
            }
            guard unsafe whole.elements[..<17].allSatisfy({ $0 == -3 }),
                unsafe whole.elements[(17 + 2 * capacity)...].allSatisfy({ $0 == -3 }),
                unsafe memory[..<7].allSatisfy({ $0 == -3 }), unsafe memory[(7 + capacity)...].allSatisfy({ $0 == -3 })
            else { throw Wrong("elements beside the slices were changed") }
            try Self.refused(["2 elements, and the input has 1"]) { try world.perform(.allReduce, whole[4..<5], count: 2) }
            try Self.refused(["another element type"]) {
                try world.perform(.broadcast(root: 0), whole.raw, into: whole.viewed(as: Double.self).raw, count: 2)
            }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    // MARK: release

    @Test(arguments: World.available) func aReleasedBufferIsAnError(world kind: World) throws {
        let outcomes = kind.run(4) { world in
            let half = try world.split(color: world.rank / 2, key: world.rank)!
            let memory = UnsafeMutableBufferPointer<Int64>.allocate(capacity: 100)
            defer { unsafe memory.deallocate() }
            unsafe memory.initialize(repeating: 1)
            for round in 0..<3 {
                let buffers = [
                    try world.allocate(Int64.self, count: 100), try half.allocate(count: 100), unsafe try world.register(memory),
                ]
                let own = try half.allocate(Int64.self, count: 100)
                for buffer in buffers {
                    unsafe buffer.elements.update(repeating: 1)
                    try world.allReduce(buffer)
                    try half.allReduce(buffer)
                    guard unsafe buffer.elements.allSatisfy({ $0 == 8 }) else { throw Wrong("round \(round): the sum is wrong") }
                    // Ranks release when they like: nobody waits for the others.
                    try buffer.release()
                    let other = world.rank ^ 1
                    for (communicator, peer) in [(world, other), (half, 1 - half.rank)] {
                        for view in [buffer, buffer[3...], buffer.viewed(as: Int64.self)] {
                            try Self.released { try communicator.allReduce(view) }
                            try Self.released { try communicator.perform(.allToAll, view, into: own, count: 1) }
                            try Self.released { try communicator.perform(.allToAll, own, into: view, count: 1) }
                            try Self.released { _ = try communicator.start(.allReduce, view, count: 1) }
                            try Self.released { try communicator.send(view, count: 1, to: peer) }
                            try Self.released { _ = try communicator.startReceive(view, count: 1, from: peer) }
                            try Self.released { try communicator.attach(view) }
                            try Self.released { try view.release() }
                        }
                    }
                }
                // A number of a buffer does not come again: the same operation on the next buffer is another one.
                unsafe own.elements.update(repeating: Int64(round))
                try half.allReduce(own)
                guard unsafe own.elements[99] == Int64(2 * round) else { throw Wrong("round \(round): another buffer was reduced") }
                try own.release()
            }
            try half.close()
            let last = try world.allocate(Int8.self, count: 1)
            try world.close()
            do { try last.release() } catch let error as VerbenaError where error.cause == .closed { return }
            throw Wrong("a closed job's buffer was released")
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    @Test func releaseRefusesWhileAnOperationIsUnderWay() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { world in
            let buffer = try world.allocate(Int64.self, count: 10)
            let child = try world.split(color: 0, key: 0)!
            try child.attach(buffer)
            guard world.rank == 0 else {
                try world.barrier(label: "it was refused")
                try child.send(buffer, count: 10, to: 0)
                return try buffer.release()
            }
            let receive = try child.startReceive(buffer, count: 10, from: 1)
            try Self.refused(["under way", "then release"]) { try buffer.release() }
            try world.barrier(label: "it was refused")
            try receive.wait()
            try buffer.release()
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// Pages that ranks share go back with the last rank that maps them.
    @Test func releasedMemoryGoesBackToTheSystem() throws {
        let byteCount = 3_149_824  // No other test's.
        let outcomes = LocalRanks.run(3, fabric: .sharedMemory) { world in
            let memory = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: byteCount)
            defer { unsafe memory.deallocate() }
            let child = try world.split(color: 0, key: 0)!
            let buffers = [try world.allocate(UInt8.self, count: byteCount), unsafe try world.register(memory)]
            for buffer in buffers { try child.attach(buffer) }
            try world.barrier(label: "all have it")
            // Other tests map and unmap memory while the list is read: one reading may lack what is there.
            let deadline = ContinuousClock.now + .seconds(60)
            var before = try Self.mappings(byteCount)
            while before.isEmpty, ContinuousClock.now < deadline { before = try Self.mappings(byteCount) }
            try world.barrier(label: "all have looked")
            for buffer in buffers { try buffer.release() }
            try world.barrier(label: "all have released it")
            let after = try Self.mappings(byteCount)
            guard !before.isEmpty, after.isEmpty else { throw Wrong("\(before) mappings, then \(after)") }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// The mappings of shared memory of that size in this process.
    static func mappings(_ byteCount: Int) throws -> [Substring] {
        HostFacts.text(of: "/proc/self/maps").split(separator: "\n").filter { line in
            guard line.contains("memfd:verbena"), let range = line.split(separator: " ").first else { return false }
            let bounds = range.split(separator: "-").compactMap { Int($0, radix: 16) }
            return bounds.count == 2 && bounds[1] - bounds[0] == byteCount
        }
    }

    /// The root of a broadcast is through with it while others have yet to begin.
    @Test func aRankMayReleaseWhatOthersStillUse() throws {
        let outcomes = LocalRanks.run(4, fabric: .sharedMemory) { communicator in
            for round in 0..<100 {
                let buffer = try communicator.allocate(Int64.self, count: 10)
                let root = round % 4
                if communicator.rank == root { buffer.withMutableElements { $0[9] = Int64(round) } }
                try communicator.broadcast(buffer, root: root)
                guard buffer.withElements({ $0[9] }) == round else { throw Wrong("round \(round)") }
                try buffer.release()
            }
        }
        for outcome in outcomes { try outcome.get() }
    }

    /// One rank knows its buffer, the other brings a new one: neither waits for ever.
    @Test(.timeLimit(.minutes(2))) func ranksThatComeToAFirstUseDifferentlyAreTold() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { world in
            let single = try world.split(color: world.rank, key: 0)!
            let buffer = try single.allocate(Int64.self, count: 10)
            try world.allReduce(buffer)
            try world.allReduce(world.rank == 0 ? buffer : try single.allocate(Int64.self, count: 10))
        }
        for outcome in outcomes { #expect("\(errorOf(outcome) as Any)".contains("rank 1 for rank 0 in gather \"memory\"")) }
    }

    @Test func aBufferOfAnotherJobIsRefused() throws {
        let (one, other) = (try Communicator.join(Configuration(environment: [:])), try Communicator.join(Configuration(environment: [:])))
        let buffer = try one.allocate(Float.self, count: 3)
        try Self.refused(["another job"]) { try other.allReduce(buffer) }
        try one.close()
        try other.close()
    }

    // MARK: access

    @Test func spansReadAndWrite() throws {
        let world = try Communicator.join(Configuration(environment: [:]))
        let buffer = try world.allocate(Float.self, count: 10)
        buffer[2..<5].withMutableElements { span in
            for index in span.indices { span[index] = Float(index + 1) }
        }
        try world.allReduce(buffer)
        let sum = buffer.withElements { span in
            span.indices.reduce(0) { $0 + span[$1] }
        }
        #expect(sum == 6)
        #expect(unsafe buffer.elements[4] == 3)
        #expect(throws: Wrong.self) { try buffer.withElements { _ throws(Wrong) in throw Wrong("passed on") } }
        #expect(unsafe buffer.raw[4...].bytes.count == 24)
        try world.close()
    }

    #if DEBUG
        @Test func spansAfterReleaseTrapWithAMessage() async throws {
            let result = try await #require(
                processExitsWith: .signal(SIGILL), observing: [\.standardErrorContent],
                performing: {
                    let communicator = try Communicator.join(Configuration(environment: [:]))
                    let buffer = try communicator.allocate(Int8.self, count: 5)
                    try buffer.release()
                    buffer.withElements { span in print(span[0]) }
                })
            #expect(String(decoding: result.standardErrorContent, as: UTF8.self).contains("the buffer was released"))
        }
    #endif

    private static func refused(_ words: [String], _ call: () throws -> Void) throws {
        do { try call() } catch let error as VerbenaError where error.cause == .configuration {
            guard words.allSatisfy(error.message.contains) else { throw error }
            return
        }
        throw Wrong("it was not refused")
    }

    private static func released(_ call: () throws -> Void) throws {
        do { try call() } catch let error as VerbenaError where error.cause == .closed {
            guard error.message.contains("released") else { throw error }
            return
        }
        throw Wrong("it was not an error")
    }
}
