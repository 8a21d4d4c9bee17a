import Fabric
import Foundation
import Synchronization
import Testing
import Verbs

@testable import VerbsFabric

@Suite(.needsDevice, .serialized) struct VerbsFabricTests {
    @Test(arguments: [(2, 1), (3, 2)]) func everyRankWritesToEveryOther(world: Int, channelsPerPeer: Int) throws {
        let seats = try connected(world) { $0.channelsPerPeer = channelsPerPeer }
        for writer in seats {
            for reader in seats where reader.rank != writer.rank {
                let (source, landing, remote) = try regions(writer, reader, byteCount: 10_000)
                // SAFETY: inside the region, and nothing of it is under way.
                unsafe source.base.storeBytes(of: UInt8(writer.rank + 1), toByteOffset: 9_999, as: UInt8.self)
                let channel = Channel(peer: reader.rank, index: channelsPerPeer - 1)
                let ticket = try writer.write(source, to: remote, channel: channel.index, byteCount: 10_000, immediate: 0xFFFF_FFF0)
                #expect(ticket == 1)
                guard case .arrival(let from, 0xFFFF_FFF0) = try reader.next() else { throw Unexpected("no arrival") }
                #expect(from == Channel(peer: writer.rank, index: channelsPerPeer - 1))
                #expect(unsafe landing.base.load(fromByteOffset: 9_999, as: UInt8.self) == UInt8(writer.rank + 1))
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

    @Test func aRegionThatIsGoneEndsTheChannelWithItsCause() throws {
        let seats = try connected(2)
        let (source, landing, remote) = try regions(seats[0], seats[1], byteCount: 100)
        try seats[1].use { (fabric) throws(FabricError) in fabric.release(landing) }
        try seats[0].write(source, to: remote, byteCount: 100)
        guard case .failure(let error) = try seats[0].next() else { throw Unexpected("no failure") }
        #expect(error.cause == .peerDied)
        #expect(error.detail.contains("remote access error"))
        guard case .failure(let other) = try seats[1].next() else { throw Unexpected("no failure at the other side") }
        #expect(other.peer == 0)
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
