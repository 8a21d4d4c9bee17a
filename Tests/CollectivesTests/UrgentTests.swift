import Fabric
import Reduction
import Testing

@testable import Collectives

/// What an urgent collective has for itself: order, lanes, room on the wire, and its name.
@Suite struct UrgentTests {
    private func job(_ worldSize: Int, seed: UInt64 = 1, byteCount: Int = 8192, isNarrow: Bool = false) throws -> Job {
        var settings = ExecutorTests.settings(worldSize)
        if isNarrow { settings.costs.far.perByte = 1_000 }
        return try Job(settings, seed: seed, bufferBytes: [byteCount])
    }

    private func allReduce(_ job: Job, _ stream: Stream, _ count: Int = 100, _ algorithm: Algorithm = .ring) -> Operation {
        // Each stream has its half of the buffer.
        let place = Place(job.buffers[1], byteOffset: stream == .urgent ? job.ranks[0].regions[1].byteCount / 2 : 0)
        return Operation(.allReduce, input: place, count: count, type: .float32, algorithm: algorithm, stream: stream)
    }

    /// The bulk lanes are taken, others wait, and one rank has not begun any: urgent ones end, as many as come.
    @Test(arguments: [Algorithm.ring, .oneShot, .bruck], [2, 3])
    func endsThoughBulkWaits(algorithm: Algorithm, worldSize: Int) throws {
        let job = try job(worldSize)
        let (bulk, urgent) = (ExecutorSettings.lanes + 3, 2 * ExecutorSettings.urgentLanes + 1)
        for rank in 0..<worldSize - 1 {
            for number in 0..<bulk { try job.ranks[rank].executor.submit(allReduce(job, .bulk, 100, algorithm), number: number) }
        }
        job.run()
        for rank in job.ranks {
            for number in 0..<urgent { try rank.executor.submit(allReduce(job, .urgent, 100, algorithm), number: 100 + number) }
        }
        job.run()
        for rank in job.ranks { #expect(rank.finished.map(\.number) == Array(100..<100 + urgent)) }
        for number in 0..<bulk { try job.ranks[worldSize - 1].executor.submit(allReduce(job, .bulk, 100, algorithm), number: number) }
        job.run()
        for rank in job.ranks { #expect(rank.finished.count == bulk + urgent && rank.finished.allSatisfy { !$0.isFailed }) }
    }

    /// And the other way around: bulk does not wait for what is urgent.
    @Test func bulkEndsThoughUrgentWaits() throws {
        let job = try job(2, isNarrow: true)
        for _ in 0..<ExecutorSettings.urgentLanes + 1 { try job.ranks[0].executor.submit(allReduce(job, .urgent), number: 9) }
        for rank in job.ranks { for number in 0..<6 { try rank.executor.submit(allReduce(job, .bulk, 800), number: number) } }
        job.run()
        for rank in job.ranks { #expect(rank.finished.map(\.number) == Array(0..<6)) }
    }

    /// From the first urgent collective on, an urgent message has no more than two windows of bulk before it; bulk gets there all the same.
    @Test(arguments: [2, 3], [false, true]) func bulkOnTheWayIsBounded(worldSize: Int, isNarrow: Bool) throws {
        let count = 16 * 300
        let job = try job(worldSize, byteCount: 8 * count, isNarrow: isNarrow)
        for rank in job.ranks { try rank.executor.submit(allReduce(job, .urgent)) }
        job.run()
        let settings = job.ranks[0].executor.settings
        let window = isNarrow ? settings.chunkBytes : 600
        #expect(!isNarrow || settings.bulkWindowBytes == 0)
        if !isNarrow { for rank in job.ranks { rank.executor.node.bulkWindowBytes = window } }
        job.network.completesLate = true
        job.network.maxIncompleteBytes = 0
        job.network.isCounted = { Immediate(rawValue: $0.immediate).kind == .collective }
        for rank in job.ranks.indices {
            unsafe job.floats(rank, 1).update(repeating: Float(rank + 1))
            for _ in 0..<4 { try job.ranks[rank].executor.submit(allReduce(job, .bulk, 0)) }
            try job.ranks[rank].executor.submit(allReduce(job, .bulk, count))
        }
        for rank in job.ranks { try rank.executor.submit(allReduce(job, .urgent, 300)) }
        job.run()
        #expect(window <= job.network.maxIncompleteBytes && job.network.maxIncompleteBytes <= 2 * window)
        let sum = Float(worldSize * (worldSize + 1) / 2)
        for rank in job.ranks.indices {
            #expect(job.ranks[rank].finished.count == 7 && job.ranks[rank].finished.allSatisfy { !$0.isFailed })
            #expect(unsafe job.floats(rank, 1)[..<count].allSatisfy { $0 == sum })
        }
    }

    /// An urgent message passes a channel on which bulk is held up.
    @Test func passesAClosedWindow() throws {
        let job = try job(2, byteCount: 1 << 16, isNarrow: true)
        for rank in job.ranks { try rank.executor.submit(allReduce(job, .urgent, 10, .oneShot)) }
        job.run()
        for rank in job.ranks { for _ in 0..<3 { try rank.executor.submit(allReduce(job, .bulk, 4000)) } }
        job.network.withholdsCompletions = true
        job.run()
        for rank in job.ranks { try rank.executor.submit(allReduce(job, .urgent, 10, .oneShot), number: 7) }
        job.run()
        for rank in job.ranks { #expect(rank.finished.map(\.number) == [0, 7]) }
        job.network.withholdsCompletions = false
        job.run()
        for rank in job.ranks { #expect(rank.finished.count == 5) }
    }

    // MARK: what ranks are told

    @Test func theFirstThatDiffersIsNamed() throws {
        let job = try job(2)
        for rank in 0..<2 {
            try job.ranks[rank].executor.submit(allReduce(job, .bulk))
            try job.ranks[rank].executor.submit(allReduce(job, .urgent))
            try job.ranks[rank].executor.submit(allReduce(job, .urgent, 100 + rank))
        }
        job.run()
        for rank in job.ranks {
            guard let failure = rank.executor.failure else { continue }
            #expect(failure.cause == .operationsDiffer && failure.operation.hasPrefix("urgent allreduce #1 "), "\(failure)")
        }
        #expect(job.ranks.contains { $0.executor.failure != nil })
    }

    /// What one rank takes for urgent and another for bulk is not the same operation: each waits in its own order.
    @Test func whatWaitsIsNamed() throws {
        let job = try job(2)
        try job.ranks[0].executor.submit(allReduce(job, .bulk))
        try job.ranks[0].executor.submit(allReduce(job, .urgent))
        try job.ranks[1].executor.submit(allReduce(job, .bulk))
        try job.ranks[1].executor.submit(allReduce(job, .bulk))
        job.run()
        #expect(job.ranks[0].executor.currentOperation.hasPrefix("urgent allreduce #0 "))
        #expect(job.ranks[1].executor.currentOperation.hasPrefix("allreduce #1 "))
        for clock in [0, 5001] {
            job.network.clock = UInt64(clock) * 1_000_000
            for rank in job.ranks { rank.executor.checkStall() }
        }
        #expect(job.ranks[0].executor.failure?.operation.hasPrefix("urgent allreduce #0 ") == true)
        #expect(job.ranks[1].executor.failure?.operation.hasPrefix("allreduce #1 ") == true)
    }

    /// A wait is told with its stream, of which it is the first; that of another stream is not told for it.
    @Test func aLongWaitIsOfAStream() throws {
        let job = try job(2)
        let executor = job.ranks[1]
        let urgent = ExecutorSettings.urgentLanes + 1
        for number in 0..<urgent { try executor.executor.submit(allReduce(job, .urgent), number: 10 + number) }
        try executor.executor.submit(allReduce(job, .bulk), number: 3)
        job.run()
        for clock in [0, 2_000] {
            job.network.clock = UInt64(clock) * 1_000_000
            executor.executor.checkStall()
        }
        func longWait(_ number: Int) -> AwaitedPeer? { executor.executor.longWait(milliseconds: 2_000) { $0 == number } }
        #expect(longWait(3)?.stream == .bulk && longWait(3)?.number == 0)
        for number in 10..<10 + urgent { #expect(longWait(number)?.stream == .urgent && longWait(number)?.number == 0, "\(number)") }
        #expect(executor.executor.submitted[.urgent] == UInt64(urgent) && executor.executor.submitted[.bulk] == 1)
        // One that has no lane yet waits for the one that has it.
        executor.executor.timeOut(number: 9 + urgent, milliseconds: 7)
        #expect(executor.executor.failure?.operation.hasPrefix("urgent allreduce #0 ") == true)
        #expect(executor.finished.isEmpty)
        job.run()
        #expect(executor.finished.count == urgent + 1 && executor.finished.allSatisfy(\.isFailed))
    }

    @Test func whatWasSubmittedGoesOverTheWire() throws {
        var submitted = Submitted()
        (submitted[.bulk], submitted[.urgent]) = (3, 5)
        submitted.transfers[2] = .init(sent: 1, received: 4)
        #expect(Submitted(bytes: submitted.bytes) == submitted)
        #expect(Submitted(bytes: Array(submitted.bytes.prefix(8))) == nil)
    }
}
