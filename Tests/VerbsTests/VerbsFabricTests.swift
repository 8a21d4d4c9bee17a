import Fabric
import Foundation
import Platform
import Synchronization
import Testing
import Verbs

@testable import VerbsFabric

@Suite(.needsDevice, .serialized) struct VerbsFabricTests {
    @Test(arguments: [(2, 1), (3, 2)]) func everyRankWritesToEveryOther(world: Int, channelsPerPeer: Int) throws {
        let seats = try connected(world) { $0.channelsPerPeer = channelsPerPeer }
        for writer in seats {
            for reader in seats where reader.rank != writer.rank {
                let (source, receiveBuffers, remote) = try regions(writer, reader, byteCount: 10_000)
                // SAFETY: inside the region, and nothing of it is under way.
                unsafe source.base.storeBytes(of: UInt8(writer.rank + 1), toByteOffset: 9_999, as: UInt8.self)
                let channel = Channel(peer: reader.rank, index: channelsPerPeer - 1)
                let ticket = try writer.write(source, to: remote, channel: channel.index, byteCount: 10_000, immediate: 0xFFFF_FFF0)
                #expect(ticket == 1)
                guard case .arrival(let from, 0xFFFF_FFF0) = try reader.next() else { throw Unexpected("no arrival") }
                #expect(from == Channel(peer: writer.rank, index: channelsPerPeer - 1))
                #expect(unsafe receiveBuffers.base.load(fromByteOffset: 9_999, as: UInt8.self) == UInt8(writer.rank + 1))
                guard case .completion(channel, through: 1) = try writer.next() else { throw Unexpected("no completion") }
            }
        }
        try closeInTurn(seats)
    }

    private func closeInTurn(_ seats: [Seat]) throws {
        for (position, seat) in seats.enumerated() {
            try seat.use { (fabric) throws(FabricError) in fabric.close(deadline: fabric.now().advanced(milliseconds: 10_000)) }
            for other in seats[(position + 1)...] {
                guard case .closed(peer: seat.rank) = try other.next() else { throw Unexpected("rank \(seat.rank) was not seen to close") }
            }
        }
    }

    @Test func aWriteAfterLeaveIsRefusedAtBothEnds() throws {
        let seats = try connected(2)
        let (source, _, remote) = try regions(seats[0], seats[1], byteCount: 8)
        let (answer, _, back) = try regions(seats[1], seats[0], byteCount: 8)
        try seats[1].use { (fabric) throws(FabricError) in fabric.close(deadline: fabric.now().advanced(milliseconds: 10_000)) }
        guard case .closed(peer: 1) = try seats[0].next() else { throw Unexpected("no leave") }
        for (seat, from, to) in [(seats[0], source, remote), (seats[1], answer, back)] {
            let error = #expect(throws: FabricError.self) {
                try seat.write(from, to: to, byteCount: 8)
            }
            #expect(error?.cause == .peerClosed)
            // Nothing more is heard of a peer that left, nor by a fabric that is closed.
            try seat.use { (fabric) throws(FabricError) in
                for _ in 0..<(2 * VerbsFabric.pollsPerControlCheck) { #expect(fabric.poll() == nil) }
            }
        }
    }

    @Test(arguments: [1, 3, 4, 8]) func moreWritesThanTheQueuesHoldArriveInOrder(depth: Int) throws {
        let depth64 = UInt64(depth)
        let seats = try connected(2) { ($0.arrivalDepth, $0.writeDepth) = (8, depth) }
        let (source, _, remote) = try regions(seats[0], seats[1], byteCount: 64)
        var (arrived, completed, posted): (UInt32, UInt64, UInt64) = (0, 0, 0)
        while arrived < 1000 {
            while posted < 1000, posted - completed < depth64, posted - UInt64(arrived) < 8 {
                let immediate = UInt32(posted)
                posted = try seats[0].write(source, to: remote, byteCount: 8, immediate: immediate)
            }
            guard case .arrival(_, let immediate) = try seats[1].next() else { throw Unexpected("no arrival") }
            #expect(immediate == arrived)
            arrived += 1
            while let event = try seats[0].use({ (fabric) throws(FabricError) in fabric.poll() }) {
                guard case .completion(_, let through) = event else { throw Unexpected("\(event)") }
                #expect(through > completed)
                completed = through
            }
            if posted - completed == depth64, case .completion(_, let through) = try seats[0].next() { completed = through }
        }
    }

    @Test func writesWaitForEachOtherAndOneCompletionCoversThem() throws {
        let seats = try connected(2) { $0.writeDepth = 64 }
        let (source, _, remote) = try regions(seats[0], seats[1], byteCount: 64)
        try seats[0].use { (fabric) throws(FabricError) in
            for number in 1...3 {
                let write = Write(
                    channel: Channel(peer: 1), source: source, sourceOffset: 0, destination: remote, destinationOffset: 0, byteCount: 8,
                    immediate: UInt32(number))
                #expect(try fabric.write(write) == UInt64(number))
                #expect(fabric.channels[0].queuePair?.chained == number)
            }
            fabric.wait(until: fabric.now())
            #expect(fabric.channels[0].queuePair?.chained == 0)
        }
        for number in 1...3 {
            guard case .arrival(_, immediate: UInt32(number)) = try seats[1].next() else { throw Unexpected("no arrival \(number)") }
        }
        guard case .completion(_, through: 3) = try seats[0].next() else { throw Unexpected("not one completion for all") }
    }

    @Test func closingLetsGoWhatWasHeldBack() throws {
        let seats = try connected(2)
        let (source, _, remote) = try regions(seats[0], seats[1], byteCount: 64)
        try seats[0].use { (fabric) throws(FabricError) in
            _ = try fabric.write(
                Write(
                    channel: Channel(peer: 1), source: source, sourceOffset: 0, destination: remote, destinationOffset: 0, byteCount: 8,
                    immediate: 6))
            fabric.close(deadline: fabric.now().advanced(milliseconds: 10_000))
        }
        guard case .arrival(_, immediate: 6) = try seats[1].next() else { throw Unexpected("no arrival") }
        guard case .closed(peer: 0) = try seats[1].next() else { throw Unexpected("no leave") }
    }

    @Test func aChainThatTheDeviceRefusesFailsThePeer() throws {
        let seats = try connected(2) { ($0.arrivalDepth, $0.writeDepth) = (4, 8) }
        let (source, _, remote) = try regions(seats[0], seats[1], byteCount: 64)
        let write = Write(
            channel: Channel(peer: 1), source: source, sourceOffset: 0, destination: remote, destinationOffset: 0, byteCount: 8,
            immediate: 0)
        try seats[0].use { (fabric) throws(FabricError) in
            let pair = fabric.channels[0].queuePair
            // Behind the fabric's back, until the device takes no more: the peer posts few receives. It refuses now and then before these are
            // used up; it is full when it refuses again and again.
            var refusals = 0
            for _ in 0..<100_000 where refusals < 1000 {
                pair?.chainMessage(identifier: WorkRequestTag(.goodbye, slot: 0).identifier, immediate: 0)
                do throws(VerbsError) {
                    try pair?.postChain()
                    refusals = 0
                } catch {
                    refusals += 1
                    sched_yield()
                }
            }
            #expect(refusals == 1000)
            // A chain holds two here: the second write finds it full, and the device refuses both.
            #expect(try fabric.write(write) == 1)
            let error = #expect(throws: FabricError.self) { try fabric.write(write) }
            #expect(error?.cause == .resource)
            #expect(error?.peer == 1 && error?.rankAtFault == nil)
            guard case .failure(let reported) = fabric.poll() else {
                Issue.record("no failure was reported")
                return
            }
            #expect(reported == error)
            #expect(throws: reported) { try fabric.write(write) }
            #expect(fabric.poll() == nil)
        }
    }

    @Test func moreChannelsThanOneCompletionQueueTakes() throws {
        let channels = 25
        let seats = try connected(2) { $0.channelsPerPeer = channels }
        let (source, _, remote) = try regions(seats[0], seats[1], byteCount: 64)
        let parts = try seats[0].use { (fabric) throws(FabricError) in fabric.completions?.parts ?? 0 }
        if seats[0].isSoftRoCE { #expect(parts == 2) }
        for index in 0..<channels { try seats[0].write(source, to: remote, channel: index, byteCount: 8, immediate: UInt32(index)) }
        var arrived: Set<UInt32> = []
        var completed: Set<Int> = []
        while arrived.count < channels {
            guard case .arrival(let channel, let immediate) = try seats[1].next() else { throw Unexpected("no arrival") }
            #expect(channel.index == Int(immediate))
            arrived.insert(immediate)
        }
        while completed.count < channels {
            guard case .completion(let channel, through: 1) = try seats[0].next() else { throw Unexpected("no completion") }
            completed.insert(channel.index)
        }
    }

    /// Some of its goodbyes are on another queue than the requests that its end flushes.
    @Test func whatAPeerSaidBeforeItsEndIsReadFromEveryQueue() throws {
        let seats = try connected(2) { $0.channelsPerPeer = 25 }
        try seats[1].leaveUnheard(by: seats[0])
        guard case .closed(peer: 1) = try seats[0].next() else { throw Unexpected("no leave") }
    }

    @Test func aWriteOutsideARegionIsRefused() throws {
        let seats = try connected(2)
        let (source, _, remote) = try regions(seats[0], seats[1], byteCount: 100)
        for (from, to, count) in [(0, 1, 100), (1, 0, 100), (-1, 0, 1), (0, -1, 1), (0, 0, -1), (0, 0, 101), (101, 0, 0), (Int.max, 0, 1)] {
            let error = #expect(throws: FabricError.self) {
                try seats[0].write(source, at: from, to: remote, at: to, byteCount: count)
            }
            #expect(error?.cause == .outOfBounds)
        }
    }

    @Test func aPeerThatCrashesIsReportedOnceAndRefused() throws {
        let seats = try connected(3)
        let (source, _, remote) = try regions(seats[0], seats[1], byteCount: 100)
        seats[1].crash()
        for survivor in [seats[0], seats[2]] {
            guard case .failure(let error) = try survivor.next() else { throw Unexpected("no failure") }
            #expect(error.cause == .peerDied)
            #expect(error.peer == 1)
        }
        let error = #expect(throws: FabricError.self) {
            try seats[0].write(source, to: remote, byteCount: 1)
        }
        #expect(error?.cause == .peerDied)
        // The survivors go on.
        let (mine, _, theirs) = try regions(seats[0], seats[2], byteCount: 8)
        try seats[0].write(mine, to: theirs, byteCount: 8, immediate: 3)
        guard case .arrival(_, immediate: 3) = try seats[2].next() else { throw Unexpected("no arrival") }
    }

    /// One packet ends a receive of the owner's with its cause, several only flush it: both ends blame the owner.
    @Test(arguments: [100, 10_000]) func aRegionThatIsGoneIsItsOwnersFaultAtBothEnds(byteCount: Int) throws {
        let seats = try connected(2)
        let (source, receiveBuffers, remote) = try regions(seats[0], seats[1], byteCount: byteCount)
        try seats[1].use { (fabric) throws(FabricError) in fabric.release(receiveBuffers) }
        try seats[0].write(source, to: remote, byteCount: byteCount)
        guard case .failure(let error) = try seats[0].next() else { throw Unexpected("no failure") }
        #expect(error.cause == .peerDied && error.rankAtFault == 1)
        #expect(error.detail.contains("remote access error"))
        guard case .failure(let other) = try seats[1].next() else { throw Unexpected("no failure at the other side") }
        #expect(other.peer == 0 && other.rankAtFault == nil)
        #expect(other.detail.contains("into memory that this rank does not offer"), "\(other)")
        if seats[0].isSoftRoCE { #expect(other.cause == (byteCount == 100 ? .outOfBounds : .deviceFailed)) }
    }

    @Test func aWriteThatIsTooLongForTheDeviceIsRefused() throws {
        let seats = try connected(2) { $0.limits.messageByteLimit = 1000 }
        let (source, _, remote) = try regions(seats[0], seats[1], byteCount: 4096)
        #expect(try seats[0].use { (fabric) throws(FabricError) in fabric.writeByteLimit } == 1000)
        let error = #expect(throws: FabricError.self) { try seats[0].write(source, to: remote, byteCount: 1001) }
        #expect(error?.cause == .outOfBounds)
        #expect(error?.detail.contains("at most 1000") == true)
        try seats[0].write(source, to: remote, byteCount: 1000, immediate: 4)
        guard case .arrival(_, immediate: 4) = try seats[1].next() else { throw Unexpected("no arrival") }
    }

    @Test func noWriteIsAsLongAsSoftRoCEFlushesWithoutAWord() throws {
        let seat = try Seat(configuration(0, of: 1))
        #expect(try seat.use { (fabric) throws(FabricError) in fabric.writeByteLimit } < 1 << 31)
    }

    @Test func writesIntoMemoryInPiecesArriveWhereverTheyBegin() throws {
        let seats = try connected(2) {
            $0.limits.pieces = RegistrationPieces(strideExponent: 13, overlapByteCount: 4096, wholeByteLimit: 8192)
        }
        let size = 40_000
        let (source, receiveBuffers, remote) = try regions(seats[0], seats[1], byteCount: size)
        // SAFETY: both regions have this size and outlive the test; nothing of them is under way but what is waited for.
        unsafe UnsafeMutableRawBufferPointer(start: source.base, count: size).copyBytes(
            from: (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) })
        var ticket: UInt64 = 0
        for (from, to, count) in [
            (0, 0, 4096), (8191, 4095, 4096), (8192, 16_383, 4096), (35_904, 35_904, 4096), (5000, 24_576, 1), (40_000, 40_000, 0),
            (1, 32_767, 4096),
        ] {
            ticket = try seats[0].write(source, at: from, to: remote, at: to, byteCount: count, immediate: UInt32(count))
            guard case .arrival(_, immediate: UInt32(count)) = try seats[1].next() else { throw Unexpected("no arrival") }
            #expect(unsafe memcmp(source.base + from, receiveBuffers.base + to, count) == 0)
            guard case .completion(_, through: ticket) = try seats[0].next() else { throw Unexpected("no completion") }
        }
        let error = #expect(throws: FabricError.self) { try seats[0].write(source, to: remote, byteCount: 4097) }
        #expect(error?.cause == .outOfBounds)
        try seats[1].use { (fabric) throws(FabricError) in fabric.release(receiveBuffers) }
    }

    @Test func aCompletionQueueThatOverflowsEndsTheJobAtOnce() throws {
        let seats = try connected(2) { $0.limits.completionsPerQueue = 4 }
        let (source, _, remote) = try regions(seats[0], seats[1], byteCount: 64)
        for _ in 0..<64 { try seats[0].write(source, to: remote, byteCount: 8) }
        var failure: FabricError?
        while failure == nil {
            if case .failure(let error) = try seats[1].next() { failure = error }
        }
        #expect(failure?.cause == .deviceFailed && failure?.rankAtFault == nil)
        #expect(failure?.detail.contains("completion queue") == true)
    }

    /// The kernel rejects in the peer's name when the peer cannot accept, and when the peer ends: with the status of a deliberate refusal.
    @Test(arguments: ["rejected in silence", "dropped", "nobody listens"]) func aRejectionIsToldByItsReason(how: String) throws {
        let address = try #require(MachineCapability.usableAddress).address
        let (manager, seat) = (try ConnectionManager(), try Seat(configuration(0, of: 2)))
        let listener = try Listener(manager, on: address, token: 0, backlog: 4)
        // Port 1 is nobody's: rdma_cm gives unprivileged ports only.
        let place = RouteEnd.Place(
            address: how == "nobody listens" ? SocketAddress(address: address, port: 1) : listener.address, prefixLength: 24)
        let endpoint = Endpoint(devices: [RouteEnd(mtu: 1024, places: [place])]).encoded
        let done = DispatchGroup()
        let outcome = Mutex<FabricError?>(nil)
        done.enter()
        Thread.detachNewThread {
            do throws(FabricError) {
                try seat.use { (fabric) throws(FabricError) in
                    try fabric.connect(to: [1: endpoint], deadline: fabric.now().advanced(milliseconds: 20_000))
                }
            } catch {
                outcome.withLock { $0 = error }
            }
            done.leave()
        }
        var sleepers = SleepSet([manager.descriptor])
        while done.wait(timeout: .now()) != .success {
            if let request = try manager.nextEvent()?.connection, how != "dropped" { try request.reject(privateData: []) }
            sleepers.wait(nanoseconds: 50_000_000)
        }
        let error = try #require(outcome.withLock { $0 })
        #expect(error.cause == .peerDied && error.peer == 1)
        #expect(error.detail.contains(how == "nobody listens" ? "nobody of this job listens" : "failed while it accepted"), "\(error)")
    }

    @Test func addressesOfAnotherFamilyAreToldWithBothLists() throws {
        let (device, address) = try #require(MachineCapability.usableAddress)
        try #require(address.isVersion4)
        let seat = try Seat(configuration(0, of: 2) { $0.deviceNames = ["\(device)@\(address)"] })
        let other = try #require(Subnet(text: "fd00::2/64"))
        let place = RouteEnd.Place(address: SocketAddress(address: other.address, port: 5), prefixLength: 64)
        let endpoint = Endpoint(devices: [RouteEnd(mtu: 1024, places: [place])]).encoded
        let error = #expect(throws: FabricError.self) {
            try seat.use { (fabric) throws(FabricError) in try fabric.connect(to: [1: endpoint], deadline: fabric.now()) }
        }
        #expect(error?.cause == .peerUnreachable)
        #expect(error?.detail.contains("address families differ") == true && error?.detail.contains("fd00::2/64") == true)
    }

    @Test func anotherEpochIsRefusedOnBothSidesWithBothValues() throws {
        let seats = [try Seat(configuration(0, of: 2) { $0.epoch = 3 }), try Seat(configuration(1, of: 2) { $0.epoch = 4 })]
        let errors = connect(seats, milliseconds: 3000)
        for error in errors {
            #expect(error?.cause == .wrongPeer)
            #expect(error?.detail.contains("epoch differs") == true)
            #expect(error?.detail.contains("3") == true && error?.detail.contains("4") == true)
        }
    }

    @Test func anotherWorldIsRefusedAtOnceOnBothSides() throws {
        let seats = [try Seat(configuration(0, of: 2)), try Seat(configuration(1, of: 3))]
        for error in connect(seats) {
            #expect(error?.cause == .wrongPeer)
            #expect(error?.detail.contains("world size differs") == true)
        }
    }

    @Test func aStrangerIsRefusedAndDisturbsNobody() throws {
        let members = try (0..<2).map { try Seat(configuration($0, of: 2)) }
        let stranger = try Seat(configuration(0, of: 2) { $0.jobKey = [UInt8](repeating: 1, count: 16) })
        // The stranger asks the higher member, and is turned down before the members connect.
        let done = DispatchGroup()
        let refusal = Mutex<FabricError?>(nil)
        done.enter()
        let endpoint = members[1].endpoint
        Thread.detachNewThread {
            do throws(FabricError) {
                try stranger.use { (fabric) throws(FabricError) in
                    try fabric.connect(to: [1: endpoint], deadline: fabric.now().advanced(milliseconds: 20_000))
                }
            } catch {
                refusal.withLock { $0 = error }
            }
            done.leave()
        }
        for error in connect(members) { #expect(error == nil) }
        // Whether the request came before or after, somebody who polls turns it down.
        var isOver = false
        for _ in 0..<200 where !isOver {
            try members[1].use { (fabric) throws(FabricError) in
                _ = fabric.poll()
                fabric.wait(until: fabric.now().advanced(milliseconds: 50))
            }
            isOver = done.wait(timeout: .now()) == .success
        }
        #expect(isOver)
        #expect(refusal.withLock { $0 }?.cause == .wrongPeer)
        #expect(refusal.withLock { $0 }?.detail.contains("job key") == true)
    }

    @Test func aPeerThatNeverComesIsNamedAtTheDeadline() throws {
        let seats = try (0..<3).map { try Seat(configuration($0, of: 3)) }
        let endpoints = [0: seats[0].endpoint, 1: seats[1].endpoint]
        let error = #expect(throws: FabricError.self) {
            try seats[2].use { (fabric) throws(FabricError) in
                try fabric.connect(to: endpoints, deadline: fabric.now().advanced(milliseconds: 200))
            }
        }
        #expect(error?.cause == .timedOut)
        #expect(error?.peer == 0)
        #expect(error?.detail.contains("also missing: 1") == true)
    }

    @Test func aWakerEndsConnecting() throws {
        let seats = try (0..<2).map { try Seat(configuration($0, of: 2)) }
        let endpoint = seats[0].endpoint
        try seats[1].use { (fabric) throws(FabricError) in
            let waker = fabric.waker()
            Thread.detachNewThread { waker.wake() }
            let deadline = fabric.now().advanced(milliseconds: 20_000)
            let error = #expect(throws: FabricError.self) { try fabric.connect(to: [0: endpoint], deadline: deadline) }
            #expect(error?.cause == .timedOut)
            #expect(error?.rankAtFault == nil)
            #expect(fabric.now() < deadline)
        }
    }

    @Test func aWakerEndsTheWaitOfAnotherThread() throws {
        let seat = try Seat(configuration(0, of: 1))
        try seat.use { (fabric) throws(FabricError) in
            try fabric.connect(to: [:], deadline: fabric.now())
            let waker = fabric.waker()
            Thread.detachNewThread { waker.wake() }
            let deadline = fabric.now().advanced(milliseconds: 20_000)
            fabric.wait(until: deadline)
            #expect(fabric.now() < deadline)
            #expect(fabric.poll() == nil)
        }
    }
}
