import Fabric
import Testing

@testable import SharedMemoryFabric

@Suite struct ArrivalTests {
    /// Payloads that travel in the arrival and such that do not, to the last byte of the region, with nothing beside them touched.
    @Test(arguments: [1, 3, 4, 7, 8, 39, 40, 41, 64]) func placesSmallPayloads(byteCount: Int) throws {
        var pair = try Pair.make(byteCount: 200)
        for index in 0..<200 { set(pair.leftRegion, index, UInt8(index + 1)) }
        for offset in [0, 5, 200 - byteCount] {
            for index in 0..<200 { set(pair.rightRegion, index, 0) }
            _ = try pair.left.write(pair.write(byteCount, to: offset, immediate: 9))
            guard case .arrival(Channel(peer: 0), 9) = pair.right.poll() else {
                Issue.record("no arrival")
                return
            }
            for index in 0..<200 {
                let isInside = offset..<offset + byteCount ~= index
                #expect(byte(pair.rightRegion, index) == (isInside ? UInt8(index - offset + 1) : 0))
            }
        }
    }

    /// A ring goes round many times, at every depth, and neither loses, doubles nor reorders.
    @Test(arguments: [1, 2, 3, 5, 64]) func goesRound(depth: Int) throws {
        var pair = try Pair.make(depth: depth)
        var (sent, received): (UInt32, UInt32) = (0, 0)
        while received < 1000 {
            // Depth many always find room, however far the reader is behind in saying so.
            for _ in 0..<depth {
                _ = try pair.left.write(pair.write(8, immediate: sent))
                sent += 1
            }
            for _ in 0..<depth {
                guard case .arrival(_, let immediate) = pair.right.poll() else {
                    Issue.record("arrival \(received) of \(sent) is missing")
                    return
                }
                #expect(immediate == received)
                received += 1
            }
            #expect(pair.right.poll() == nil)
        }
    }

    /// A full ring refuses, takes no ticket, and goes on when the reader has read; even full it has room for a leave.
    @Test(arguments: [1, 8, 64]) func refusesAndRecovers(depth: Int) throws {
        var pair = try Pair.make(channels: 2, depth: depth)
        for round in 0..<20 {
            var accepted: UInt32 = 0
            while let ticket = try unlessFull({ () throws(FabricError) in try pair.left.write(pair.write(4, immediate: accepted)) }) {
                accepted += 1
                #expect(ticket > 0)
            }
            #expect(accepted >= depth && accepted <= 2 * depth + 1)
            _ = try pair.left.write(pair.write(4, channel: 1))  // The other channel is not concerned.
            let last = round == 19
            if last { pair.left.close(deadline: .distantFuture) }
            var seen: UInt32 = 0
            events: while true {
                switch pair.right.poll() {
                case .arrival(let channel, let immediate):
                    if channel.index == 0 {
                        #expect(immediate == seen)
                        seen += 1
                    }
                case .closed(peer: 0):
                    #expect(last)
                    break events
                case nil:
                    #expect(!last)
                    break events
                case .some(let other): Issue.record("unexpected \(other)")
                }
            }
            #expect(seen == accepted)
        }
    }

    private func unlessFull(_ body: () throws(FabricError) -> UInt64) throws(FabricError) -> UInt64? {
        do throws(FabricError) { return try body() } catch {
            if error.cause == .queueFull { return nil }
            throw error
        }
    }

    /// A peer whose arrival names memory that is not ours fails; nothing is written, and nothing more is heard of it.
    @Test(arguments: [
        (region: UInt32(7), offset: 0, byteCount: 8), (0, 193, 8), (0, -1, 1), (0, .max, 40), (0, .min, 40), (0, 0, 41), (0, 200, 1),
    ]) func refusesForeignPlaces(region: UInt32, offset: Int, byteCount: Int) throws {
        var pair = try Pair.make(byteCount: 200)
        // SAFETY: the source has 64 bytes; an entry has room for 40, so what follows in the ring may be spoilt, as by a hostile writer.
        unsafe pair.left.channels[0].pointee.writer.push(
            immediate: 1, source: pair.leftRegion.base, byteCount: byteCount, region: region, offset: offset)
        set(pair.leftRegion, 0, 1)
        _ = try pair.left.write(pair.write(8))
        guard case .failure(let error) = pair.right.poll() else {
            Issue.record("the write was taken")
            return
        }
        #expect(error.cause == .wrongPeer && error.peer == 0 && error.rankAtFault == 0)
        #expect(pair.right.poll() == nil)
        #expect((0..<200).allSatisfy { byte(pair.rightRegion, $0) == 0 })
        // And it does not keep the others from sleeping.
        let deadline = pair.right.now().advanced(milliseconds: 20)
        while pair.right.now() < deadline { pair.right.wait(until: deadline) }
        #expect(pair.right.poll() == nil)
    }

    @Test func refusesUnknownKinds() throws {
        var pair = try Pair.make()
        // SAFETY: the ring lies in a mapping that the pair holds.
        unsafe pair.left.channels[0].pointee.writer.push(.placed, immediate: 1)
        let entry = unsafe UnsafeMutablePointer(mutating: pair.right.channels[0].pointee.reader.entry)
        unsafe entry.pointee.kind = 77
        guard case .failure(let error) = pair.right.poll() else {
            Issue.record("the write was taken")
            return
        }
        #expect(error.cause == .wrongPeer)
    }

    /// A region given back is no destination any more.
    @Test func refusesReleasedRegions() throws {
        var pair = try Pair.make()
        _ = try pair.left.write(pair.write(8))
        pair.right.release(pair.rightRegion)
        guard case .failure(let error) = pair.right.poll() else {
            Issue.record("the write was taken")
            return
        }
        #expect(error.cause == .wrongPeer)
    }

    /// What was written on every channel before the leave is read before it is reported.
    @Test(arguments: [true, false]) func leavesLast(inOrder: Bool) throws {
        var pair = try Pair.make(channels: 3)
        for channel in [2, 1, 0, 2] { _ = try pair.left.write(pair.write(8, channel: channel)) }
        if inOrder {
            pair.left.close(deadline: .distantFuture)
        } else {
            pair.left = try SharedMemoryFabric(.init(rank: 0, worldSize: 2, jobKey: []))
        }
        for _ in 0..<4 {
            guard case .arrival = pair.right.poll() else {
                Issue.record("an arrival is missing")
                return
            }
        }
        switch pair.right.poll() {
        case .closed(peer: 0): #expect(inOrder)
        case .failure(let error): #expect(!inOrder && error.cause == .peerDied)
        default: Issue.record("no leave")
        }
        #expect(pair.right.poll() == nil)
    }
}
