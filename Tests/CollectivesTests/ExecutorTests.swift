import Fabric
import Reduction
import Testing

@testable import Collectives

/// What the executor promises besides results: bounds, order, and errors that say who and why.
@Suite struct ExecutorTests {
    static func settings(_ worldSize: Int) -> ExecutorSettings {
        var settings = ExecutorSettings.small(.apart(worldSize: worldSize), chunkBytes: 64, chunks: 3)
        settings.stallMilliseconds = 5000
        return settings
    }

    private func job(_ worldSize: Int, seed: UInt64 = 1, byteCount: Int = 8192) throws -> Job {
        try Job(Self.settings(worldSize), seed: seed, bufferBytes: [byteCount])
    }

    private func allReduce(_ job: Job, _ count: Int, _ algorithm: Algorithm = .ring) -> Operation {
        Operation(.allReduce, input: Place(job.buffers[1]), count: count, type: .float32, algorithm: algorithm)
    }

    // MARK: bounds

    @Test func nobodyFinishesBeforeItsWritesComplete() throws {
        for seed in UInt64(1)...20 {
            let job = try job(2, seed: seed)
            job.network.completesLate = true
            for rank in job.ranks { try rank.executor.submit(allReduce(job, 100)) }
            job.onFinish = { [network = job.network] rank, _ in
                let track = network.tracks[network.track(from: rank, to: 1 - rank, 0)]
                #expect(track.writes.count == track.completed)
            }
            job.run()
            #expect(job.ranks.allSatisfy { $0.finished.count == 1 })
        }
    }

    /// But for small messages, which leave from memory of the node's own: only the next operation on the lane waits.
    @Test(arguments: [Algorithm.oneShot, .bruck, .recursiveDoubling])
    func smallOperationsEndBeforeTheirWrites(algorithm: Algorithm) throws {
        let job = try job(algorithm == .recursiveDoubling ? 4 : 2)
        let lanes = ExecutorSettings.lanes
        for rank in job.ranks {
            for number in 0...lanes { try rank.executor.submit(allReduce(job, 100, algorithm), number: number) }
        }
        job.network.withholdsCompletions = true
        job.run()
        for (number, rank) in job.ranks.enumerated() {
            #expect(rank.finished.map(\.number) == Array(0..<lanes) && rank.finished.allSatisfy { !$0.isFailed })
            #expect(job.network.tracks[job.network.track(from: number, to: number ^ 1, 0)].tickets == UInt64(lanes))
        }
        job.ranks[1].executor.checkStall()
        job.network.clock = 5001 * 1_000_000
        job.ranks[1].executor.checkStall()
        let failure = job.ranks[1].executor.failure
        #expect(failure?.cause == .stalled && failure?.peer == 0 && failure?.detail.contains("of an operation before") == true)
    }

    /// Of a pause of the whole process only so much counts as lies between two looks at most; what is looked at in time stalls as ever.
    @Test func aPauseOfTheProcessIsNoStall() throws {
        let job = try job(2)
        let executor = job.ranks[1]
        try executor.executor.submit(allReduce(job, 100))
        job.run()
        var milliseconds: UInt64 = 10_000
        func look(after passed: UInt64) {
            milliseconds += passed
            job.network.clock = milliseconds * 1_000_000
            executor.executor.checkStall(longestGapMilliseconds: 1_000)
        }
        look(after: 0)
        for _ in 0..<4 { look(after: 3_600_000) }
        #expect(executor.executor.failure == nil)
        for _ in 0..<2 { look(after: 900) }
        #expect(executor.executor.failure?.cause == .stalled && executor.executor.failure?.peer == 0)
    }

    /// Nobody waits for another's copy that does not concern him: a root's word that its memory is ready leaves before it copies its own block.
    @Test func whatIsSaidLeavesBeforeALongCopy() throws {
        let count = 4096
        let job = try Job(.small(.oneNode(worldSize: 2), chunkBytes: 64, chunks: 3), bufferBytes: [2 * count * 4, count * 4])
        let scatter = Operation(
            .scatter(root: 0), input: Place(job.buffers[1]), output: Place(job.buffers[2]), count: count, type: .float32, algorithm: .direct
        )
        unsafe job.floats(0, 1)[0] = 7
        var hasCopied: [Bool] = []
        job.network.onPost = { [unowned job] sender in if sender == 0 { unsafe hasCopied.append(job.floats(0, 2)[0] == 7) } }
        for rank in job.ranks { try rank.executor.submit(scatter) }
        job.run()
        #expect(hasCopied == [false])
        #expect(unsafe job.floats(0, 2)[0] == 7)
        #expect(job.ranks.allSatisfy { $0.finished.count == 1 })
    }

    /// What a rank has to write leaves even where its own operation has ended, and nobody looks at its fabric any more.
    @Test(arguments: [Algorithm.oneShot, .bruck, .ring, .recursiveDoubling])
    func whoHasEndedHoldsNobodyUp(algorithm: Algorithm) throws {
        for seed in UInt64(1)...300 {
            let job = try job(algorithm == .recursiveDoubling ? 5 : 3, seed: seed)
            job.restsWhenDone = true
            for rank in job.ranks { try rank.executor.submit(allReduce(job, 30, algorithm)) }
            // Not until nothing moves: the events of those who rest stay.
            for _ in 0..<500 where job.ranks.contains(where: { $0.executor.hasWork }) { _ = job.step() }
            #expect(job.ranks.allSatisfy { $0.finished.count == 1 }, "seed \(seed)")
        }
    }

    /// The same where one look ends with the very event that makes it write.
    @Test func whoEndsWithALongLookHoldsNobodyUp() throws {
        for seed in UInt64(1)...20 {
            let job = try job(5, seed: seed)
            job.restsWhenDone = true
            job.network.leadingCompletions = Executor<ScrambledFabric>.maxEvents - 1
            for rank in job.ranks { try rank.executor.submit(allReduce(job, 30, .recursiveDoubling)) }
            for _ in 0..<500 where job.ranks.contains(where: { $0.executor.hasWork }) { _ = job.step() }
            #expect(job.ranks.allSatisfy { $0.finished.count == 1 }, "seed \(seed)")
        }
    }

    /// Whoever drives the executor has mail to read: events that never stop do not keep it.
    @Test(.timeLimit(.minutes(1))) func progressReturnsThoughEventsNeverStop() throws {
        let job = try job(2)
        job.network.streamsCompletions = true
        for _ in 0..<3 {
            let progressed = job.ranks[0].executor.progress()
            #expect(progressed)
        }
    }

    /// What waits for a lane takes as much memory as waits at once, however many have passed.
    @Test func theQueueOfTheWaitingStaysSmall() throws {
        var queue = Queue<Int>()
        let maxWaiting = 9
        var next = 0
        for round in 0..<1_000_000 {
            // Never empty, and now and then full.
            while queue.count < (round % 1000 == 0 ? maxWaiting : 3) {
                queue.append(next)
                next += 1
            }
            guard queue.first == next - queue.count else { return #expect(Bool(false), "out of order in round \(round)") }
            queue.removeFirst()
        }
        #expect(queue.capacity <= 2 * maxWaiting && next > 1_000_000)

        // The same through the node: 9 under way all the time, of which 4 have lanes.
        let job = try job(2)
        var submitted = [0, 0]
        while submitted[0] < 3000 || submitted[1] < 3000 {
            for rank in 0..<2 {
                while submitted[rank] - job.ranks[rank].finished.count < maxWaiting, submitted[rank] < 3000 {
                    try job.ranks[rank].executor.submit(allReduce(job, 3))
                    submitted[rank] += 1
                }
            }
            _ = job.step()
        }
        for rank in job.ranks { #expect(rank.executor.node.orders[0].pending.capacity <= 2 * maxWaiting) }
    }

    @Test func sameOperationsAreEqualAndOthersAreNot() {
        let buffers = [SharedBuffer(index: 1), SharedBuffer(index: 2)]
        let base = Operation(.reduce(root: 1), input: Place(buffers[0]), count: 3, type: .float32, algorithm: .ring)
        var others = [Operation](repeating: base, count: 18)
        others[0].collective = .reduce(root: 2)
        others[1].collective = .broadcast(root: 1)
        others[2].collective = .allReduce
        others[3].collective = .send(to: 1)
        others[4].input.buffer = buffers[1]
        others[5].input.byteOffset = 4
        others[6].output.buffer = buffers[1]
        others[7].output.byteOffset = 4
        others[8].count = 4
        others[9].type = .int32
        others[10].reduction = .average
        others[11].algorithm = nil
        others[13].stream = .urgent
        others[14].wire = .bfloat16
        others[15].stripe = 64
        others[16].residual = buffers[1]
        others[17].isPrivate = true
        let counts = BlockCounts([3, 1])
        others[12] = Operation(.reduce(root: 1), input: Place(buffers[0]), counts: counts, type: .float32, algorithm: .ring)
        defer { withExtendedLifetime(counts) {} }
        #expect(base.isSame(as: base))
        for other in others { #expect(base != other && !base.isSame(as: other) && other.isSame(as: other), "\(other)") }
        #expect(
            Mirror(reflecting: base).children.count == 13 && Mirror(reflecting: base.input).children.count == 2,
            "a new field is compared, too")
    }

    /// Completions that come late fill the queue of writes: the executor waits for room and loses nothing.
    @Test(arguments: [2, 3])
    func aFullQueueIsWaitedFor(worldSize: Int) throws {
        let count = 16 * 600
        let job = try job(worldSize, byteCount: 4 * count)
        job.network.completesLate = true
        for rank in job.ranks.indices {
            unsafe job.floats(rank, 1).update(repeating: Float(rank + 1))
            for _ in 0..<3 { try job.ranks[rank].executor.submit(allReduce(job, 0)) }
            try job.ranks[rank].executor.submit(allReduce(job, count))
        }
        job.run()
        #expect(job.network.maxIncomplete == Self.settings(worldSize).arrivalDepth)
        for rank in job.ranks.indices {
            #expect(job.ranks[rank].finished.count == 4 && job.ranks[rank].finished.allSatisfy { !$0.isFailed })
            let sum = Float(worldSize * (worldSize + 1) / 2)
            #expect(unsafe job.floats(rank, 1).allSatisfy { $0 == sum })
        }
    }

    /// Where writes complete at once there is no event that says so: who waits to overwrite what it sent goes on when that is with the fabric.
    @Test func nothingIsWaitedForThatWillNotCome() throws {
        let job = try Job(
            .small(.oneNode(worldSize: 2), chunkBytes: 64, chunks: 2), bufferBytes: [4096], completesAtOnce: true)
        for rank in [0, 1] {
            for number in 0..<8 {
                let place = Place(job.buffers[1], byteOffset: 64 * number)
                try job.ranks[rank].executor.submit(
                    Operation(.allReduce, input: place, count: 4, type: .int32, algorithm: .oneShot))
            }
            job.run()
        }
        #expect(job.ranks.allSatisfy { $0.finished.count == 8 })
    }

    /// The number of an operation travels in 12 bits: around the end, for collectives and for transfers.
    @Test(arguments: [Algorithm.oneShot, .bruck, .ring])
    func operationNumbersGoAround(algorithm: Algorithm) throws {
        let (operations, worldSize) = (Int(Immediate.operations) * 9 / 8, 2)
        let job = try job(worldSize)
        for rank in 0..<worldSize { unsafe job.floats(rank, 1)[0] = 1 }
        var submitted = [0, 0]
        while submitted != [operations, operations] {
            for rank in 0..<worldSize where submitted[rank] - job.ranks[rank].finished.count < 6 && submitted[rank] < operations {
                // Always in the same place: what is in flight must keep apart.
                let place = Place(job.buffers[1], byteOffset: 64 * (submitted[rank] % 8))
                let isTransfer = submitted[rank] % 16 == 1
                let operation =
                    isTransfer
                    ? Operation(rank == 0 ? .send(to: 1) : .receive(from: 0), input: place, count: 1, type: .float32)
                    : Operation(.allReduce, input: place, count: 1, type: .int32, reduction: .maximum, algorithm: algorithm)
                try job.ranks[rank].executor.submit(operation)
                submitted[rank] += 1
            }
            _ = job.step()
        }
        job.run()
        for rank in job.ranks {
            let failure = rank.executor.failure
            #expect(failure == nil && rank.finished.count == operations)
        }
    }

    /// Of few peers in a large world no table is made; what is found is the same.
    @Test(arguments: [([2, 0], 3), ([5, 63], 64), ([7, 4095], 4096), (Array(stride(from: 4000, to: 100, by: -100)), 4096)])
    func everyPeerHasItsPosition(peers: [Int], worldSize: Int) {
        let positions = PeerPositions(peers, worldSize: worldSize)
        for rank in 0..<worldSize { #expect(positions[rank] == Int32(peers.firstIndex(of: rank) ?? -1)) }
    }

    /// An operation that comes again on its lane is not worked out again: its results are as new, whichever slots and lanes it takes, and
    /// what came between.
    @Test(arguments: [
        Topology.apart(worldSize: 2), .apart(worldSize: 3), .oneNode(worldSize: 2), .oneNode(worldSize: 4),
        Topology(nodeOfRank: [0, 0, 1, 1]),
    ])
    func anOperationComesAgain(topology: Topology) throws {
        var settings = ExecutorSettings.small(topology, chunkBytes: 64, chunks: 3)
        settings.stallMilliseconds = 5000
        let job = try Job(settings, seed: 7, bufferBytes: [4096])
        let count = 12
        let algorithms = settings.algorithms(for: .allReduce, byteCount: 4 * count)
        #expect(algorithms.count >= 3)
        var round = 0
        // Once on every lane but one, so that both sets of eager slots are met; then over and over.
        for times in [ExecutorSettings.lanes - 1, 3 * ExecutorSettings.lanes, 1] {
            for algorithm in algorithms {
                for _ in 0..<times {
                    round += 1
                    for rank in job.ranks.indices {
                        unsafe job.floats(rank, 1).update(repeating: Float(100 * round + rank))
                        try job.ranks[rank].executor.submit(allReduce(job, count, algorithm))
                        _ = job.step()
                    }
                    job.run()
                    let world = topology.worldSize
                    let sum = Float(world * 100 * round + world * (world - 1) / 2)
                    for rank in job.ranks.indices {
                        guard unsafe job.floats(rank, 1).prefix(count).allSatisfy({ $0 == sum }) else {
                            Issue.record("rank \(rank), round \(round), \(algorithm): \(unsafe job.floats(rank, 1)[0]), not \(sum)")
                            return
                        }
                    }
                }
            }
        }
        #expect(job.ranks.allSatisfy { $0.finished.count == round })
    }

    @Test func transfersGoAround() throws {
        let job = try job(2)
        let operations = Int(Immediate.operations) + 50
        for number in 0..<operations {
            unsafe job.floats(0, 1)[0] = Float(number)
            try job.ranks[0].executor.submit(Operation(.send(to: 1), input: Place(job.buffers[1]), count: 1, type: .float32))
            let target = Place(job.buffers[1], byteOffset: 8)
            try job.ranks[1].executor.submit(Operation(.receive(from: 0), input: target, count: 1, type: .float32))
            job.run()
            let got = unsafe job.floats(1, 1)[2]
            guard got == Float(number) else { return #expect(got == Float(number)) }
        }
    }

    /// In 70 messages, which is more than may be unread.
    @Test(arguments: 1...4) func aLongTransferGoesInWindows(seed: UInt64) throws {
        var settings = Self.settings(2)
        settings.messageBytes = settings.minMessageBytes
        let count = settings.messageBytes / 4 * 70 - 1
        let job = try Job(settings, seed: seed, bufferBytes: [4 * count])
        for index in 0..<count { unsafe job.floats(0, 1)[index] = Float(index) }
        try job.ranks[0].executor.submit(Operation(.send(to: 1), input: Place(job.buffers[1]), count: count, type: .float32))
        try job.ranks[1].executor.submit(Operation(.receive(from: 0), input: Place(job.buffers[1]), count: count, type: .float32))
        job.run()
        #expect(job.ranks.allSatisfy { $0.finished.count == 1 })
        #expect((0..<count).allSatisfy { unsafe job.floats(1, 1)[$0] == Float($0) })
        #expect(job.network.maxUnread <= ExecutorSettings.maxUnread + 1, "\(job.network.maxUnread)")
    }

    /// Whether it is this rank's fabric that takes less, or another's.
    @Test(arguments: [0, 1, .max]) func aFabricWithShortMessagesIsRefused(ownLimit: Int) throws {
        var settings = Self.settings(3)
        settings.messageBytes = min(ownLimit, settings.minMessageBytes - 1)
        let network = Network(topology: settings.topology, channels: 1, seed: 1)
        #expect(throws: FabricError.self) {
            var fabric = ScrambledFabric(network: network, rank: 0, depth: settings.arrivalDepth)
            fabric.writeByteLimit = ownLimit
            _ = try Executor(fabric: fabric, settings: settings)
        }
    }

    /// One operation's messages, and those of its successor that may come before it ends, are within the bound, in whatever order they come.
    @Test(arguments: 2...9)
    func arrivalsAreBounded(worldSize: Int) {
        for topology in [Topology.apart(worldSize: worldSize), .oneNode(worldSize: worldSize)] {
            var (most, early) = (0, 0)
            let settings = ExecutorSettings(topology: topology)
            for collective in Collective.all(worldSize: worldSize) where collective.root <= 0 {
                for algorithm in Algorithm.allCases {
                    for count in collective == .allReduce ? [0, 20 * worldSize] : [0, 5, 40, 100] {
                        let cutting = ScheduleTests.Cutting(chunk: 1, least: 1, chunks: settings.chunks)
                        guard
                            let rehearsal = ScheduleTests.rehearse(
                                collective, algorithm, topology, count, inPlace: false, cutting, messageElements: 1, window: nil)
                        else { continue }
                        most = max(most, rehearsal.maxUnread)
                        early = max(early, rehearsal.maxEarly)
                    }
                }
            }
            #expect(ExecutorSettings.collectiveLanes * (most + early) <= settings.arrivalDepth, "\(most) unread, \(early) early")
        }
    }

    @Test func aFabricWithShortQueuesIsRefused() throws {
        let settings = Self.settings(3)
        let network = Network(topology: settings.topology, channels: 1, seed: 1)
        #expect(throws: FabricError.self) {
            _ = try Executor(
                fabric: ScrambledFabric(network: network, rank: 0, depth: settings.arrivalDepth - 1), settings: settings)
        }
    }

    // MARK: errors

    @Test(arguments: [0, 1])
    func differentOperationsAreToldApart(lateRank: Int) throws {
        for (left, right) in [(100, 99), (1000, 1035), (0, 1)] {
            let job = try job(2, seed: 3)
            for rank in [1 - lateRank, lateRank] {
                _ = try? job.ranks[rank].executor.submit(allReduce(job, rank == 0 ? left : right))
                job.run()
            }
            let failure = job.ranks[lateRank].executor.failure
            #expect(failure?.cause == .operationsDiffer && failure?.peer == 1 - lateRank)
        }
    }

    /// Every field that ranks must agree on.
    @Test func everyDifferenceIsNoticed() throws {
        let base = Operation(
            .broadcast(root: 0), input: Place(SharedBuffer(index: 1)), count: 16, type: .float32, algorithm: .ring)
        var others = Array(repeating: base, count: 7)
        others[0].collective = .broadcast(root: 1)
        others[1].collective = .reduce(root: 0)
        others[2].count = 17
        others[3].type = .int32
        others[4].algorithm = .tree
        others[5].input.byteOffset = 64
        others[6].output.byteOffset = 1024
        for other in others {
            let job = try job(2)
            try job.ranks[0].executor.submit(base)
            try job.ranks[1].executor.submit(other)
            job.run()
            // Where each waits for the other to begin, time tells.
            for clock in [0, 5001] {
                job.network.clock = UInt64(clock) * 1_000_000
                for rank in job.ranks { rank.executor.checkStall() }
            }
            let causes = job.ranks.map { $0.executor.failure?.cause }
            let isMute = other.collective != base.collective
            #expect(causes.contains(isMute ? .stalled : .operationsDiffer), "\(other)")
            #expect(job.ranks.allSatisfy { $0.finished.allSatisfy(\.isFailed) })
        }
    }

    @Test func transfersOfDifferentSizesAreToldApart() throws {
        let job = try job(2)
        try job.ranks[0].executor.submit(Operation(.send(to: 1), input: Place(job.buffers[1]), count: 8, type: .float32))
        try job.ranks[1].executor.submit(Operation(.receive(from: 0), input: Place(job.buffers[1]), count: 7, type: .float32))
        job.run()
        let failure = job.ranks[0].executor.failure
        #expect(failure?.cause == .operationsDiffer && failure?.peer == 1)
    }

    @Test func lostPeerEndsEverything() throws {
        let job = try job(3)
        let rank = job.ranks[0]
        for _ in 0..<6 { try rank.executor.submit(allReduce(job, 100)) }
        try rank.executor.submit(Operation(.receive(from: 1), input: Place(job.buffers[1]), count: 1, type: .float32))
        job.network.events[0].append(.failure(FabricError(.peerDied, during: .write, peer: 2, detail: "gone")))
        job.run()
        #expect(rank.finished.count == 7 && rank.finished.allSatisfy(\.isFailed))
        let failure = rank.executor.failure
        #expect(failure?.cause == .fabric(.peerDied) && failure?.peer == 2)
        #expect(throws: CollectiveError.self) { try rank.executor.submit(allReduce(job, 1)) }
    }

    @Test func standstillIsBounded() throws {
        let job = try job(3)
        let rank = job.ranks[1]
        try rank.executor.submit(allReduce(job, 100))
        job.run()
        // Long ago is not long if nobody looked.
        job.network.clock = 100_000 * 1_000_000
        rank.executor.checkStall()
        job.network.clock += 5000 * 1_000_000
        rank.executor.checkStall()
        let early = rank.executor.failure
        #expect(early == nil)
        job.network.clock += 1_000_000
        rank.executor.checkStall()
        let failure = rank.executor.failure
        #expect(failure?.cause == .stalled && failure?.peer == 2)
        job.run()
        #expect(rank.finished.count == 1 && rank.finished.allSatisfy(\.isFailed))
    }

    /// What holds up an operation that somebody awaits may be one before it that nobody does, on another lane.
    @Test func aLongWaitIsThatOfWhatIsAwaitedOrAfter() throws {
        let job = try job(2)
        let executor = job.ranks[1]
        let transfer = ExecutorSettings.lanes + 3
        for number in 0..<transfer { try executor.executor.submit(allReduce(job, 100), number: number) }
        try executor.executor.submit(
            Operation(.receive(from: 0), input: Place(job.buffers[1]), count: 1, type: .float32), number: transfer)
        job.run()
        func longWait(_ isAwaited: (Int) -> Bool) -> AwaitedPeer? {
            executor.executor.longWait(milliseconds: 2_000, isAwaited: isAwaited)
        }
        for clock in [0, 1_999, 2_000] {
            job.network.clock = UInt64(clock) * 1_000_000
            executor.executor.checkStall()
            let isLong = clock == 2_000
            for number in 0..<transfer {
                let wait = longWait { $0 == number }
                #expect(wait?.number == (isLong ? 0 : nil) && wait?.peer == (isLong ? 0 : nil), "\(number)")
            }
            #expect(longWait { $0 == transfer } == nil && longWait { _ in false } == nil)
        }
    }

    /// Rank 2 has no ring: the others of its node, who see what does not move, have the first word.
    @Test func whoOnlyWaitsForOthersWorkIsPatient() throws {
        var settings = ExecutorSettings.small(Topology(nodeOfRank: [0, 0, 0, 1, 1]), chunkBytes: 64, chunks: 3)
        settings.stallMilliseconds = 5000
        let job = try Job(settings, bufferBytes: [8192])
        for rank in job.ranks[..<3] { try rank.executor.submit(allReduce(job, 100, .hierarchical)) }
        job.run()
        for rank in job.ranks { rank.executor.checkStall() }
        func failure(of rank: Int, after milliseconds: UInt64) -> CollectiveError? {
            job.network.clock = milliseconds * 1_000_000
            job.ranks[rank].executor.checkStall()
            return job.ranks[rank].executor.failure
        }
        #expect(failure(of: 2, after: 5001) == nil && failure(of: 2, after: 50_000) == nil)
        for rank in 0..<2 { #expect(failure(of: rank, after: 5001)?.peer == 3 + rank) }
        let last = failure(of: 2, after: 50_001)
        #expect(last?.cause == .stalled && last?.peer == 0)
    }

    @Test func unacknowledgedWritesNameTheReceiver() throws {
        let job = try job(2)
        for rank in job.ranks { try rank.executor.submit(allReduce(job, 100)) }
        // Everything is delivered, and nothing is said to be complete.
        var moved = true
        while moved {
            moved = job.network.step()
            for (index, rank) in job.ranks.enumerated() {
                job.network.events[index].removeAll { if case .completion = $0 { true } else { false } }
                moved = rank.executor.progress() || moved || !job.network.events[index].isEmpty
            }
            // What was posted only now leaves when its owner has polled.
            moved = moved || job.network.step()
        }
        job.ranks[1].executor.checkStall()
        job.network.clock = 5001 * 1_000_000
        job.ranks[1].executor.checkStall()
        let failure = job.ranks[1].executor.failure
        #expect(failure?.cause == .stalled && failure?.peer == 0 && failure?.detail.contains("acknowledged") == true)
    }

    @Test func strangeMessagesAreRefused() throws {
        let good = Immediate(epoch: 1, kind: .collective, operation: 0, payload: 9)
        func refuses(_ messages: [UInt32]) throws -> Bool {
            let job = try job(2)
            for message in messages { job.network.events[0].append(.arrival(Channel(peer: 1), immediate: message)) }
            for _ in messages { job.network.tracks[job.network.track(from: 1, to: 0, 0)].unread += 1 }
            job.run()
            return job.ranks[0].executor.failure?.cause == .protocolViolation
        }
        var (epoch, second, third, other) = (good, good, good, good)
        epoch.epoch += 1
        second.payload = 1
        third.payload = 2
        #expect(try !refuses([good.rawValue]))
        #expect(try !refuses([good.rawValue, second.rawValue]))
        #expect(try refuses([epoch.rawValue]))
        // It is a message of an urgent collective.
        #expect(try !refuses([good.rawValue | 3 << 28]))
        #expect(try refuses([good.rawValue, third.rawValue]))
        // Ahead by two operations of a lane.
        other.operation = 4
        var further = good
        further.operation = 8
        #expect(try refuses([other.rawValue, further.rawValue]))
    }

    @Test func messagesOnAnotherChannelAreRefused() throws {
        var settings = Self.settings(2)
        settings.channelsPerPeer = 2
        let job = try Job(settings, bufferBytes: [64])
        // Transfers have one channel only.
        let message = Immediate(epoch: 1, kind: .toSender, operation: 0, payload: 9)
        job.network.tracks[job.network.track(from: 1, to: 0, 1)].unread += 1
        job.network.events[0].append(.arrival(Channel(peer: 1, index: 1), immediate: message.rawValue))
        job.run()
        #expect(job.ranks[0].executor.failure?.cause == .protocolViolation)
    }
}
