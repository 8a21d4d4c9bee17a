import Fabric
import Foundation
import Testing

@testable import SharedMemoryFabric

@Suite struct LinkTests {
    // MARK: the text

    @Test func readsLinks() throws {
        let link = try emulatedLink("2.5Gbit,0.2ms")
        #expect(link.bitsPerSecond == 2_500_000_000 && link.latencyNanoseconds == 200_000)
        #expect(EmulatedLink("10gbit,5us")?.description == "10 Gbit/s 5 us")
        #expect(EmulatedLink("100Mbit,20ms")?.description == "100 Mbit/s 20 ms")
    }

    @Test(arguments: [
        "", "5us", "10Gbit", "10,5", "10Gbit,5", "Gbit,us", "10Gbit,5us,", "0Gbit,5us", "0.5Mbit,5us", "1001Gbit,5us", "-1Gbit,5us",
        "10Gbit,-5us",
        "10Gbit,1001ms", "10 Gbit, 5 us", "1e3Gbit,5us", "nanGbit,5us",
    ]) func refusesWhatIsNoLink(text: String) { #expect(EmulatedLink(text) == nil) }

    // MARK: the books, in times of our own: 8 Gbit/s are a byte a nanosecond

    private func books(_ text: String = "8Gbit,5us") throws -> LinkBooks {
        LinkBooks(try emulatedLink(text), maxWrites: 4)
    }

    @Test func oneWriteTakesLatencyAndBytes() throws {
        var sender = try books()
        let receiver = try books()
        let (first, duration) = sender.post(byteCount: 1000, row: 0, at: 100)
        #expect(first == 5100 && duration == 1000)
        #expect(receiver.arrival(firstByteAt: first, duration: duration) == 6100)
        // It has left at 1100, and the word of that is back two latencies later.
        #expect(sender.nextCompletion == 11_100)
        #expect(sender.takeCompletion(at: 11_099) == nil)
        #expect(sender.takeCompletion(at: 11_100) == 0)
        #expect(sender.nextCompletion == .max)
    }

    /// Every byte of a sender waits for those before it, whatever the channel; completions come in the order of posting.
    @Test func aSenderIsShared() throws {
        var sender = try books()
        for row in [2, 0, 1] { _ = sender.post(byteCount: 1000, row: row, at: 0) }
        #expect(sender.post(byteCount: 1, row: 3, at: 0) == (8000, 1))
        #expect([2, 0, 1, 3].allSatisfy { sender.takeCompletion(at: 13_001) == $0 })
        // Idle since, it starts at once; the ring of writes under way has gone round.
        #expect(sender.post(byteCount: 10, row: 1, at: 20_000) == (25_000, 10))
        #expect(sender.takeCompletion(at: .max) == 1)
    }

    /// Two senders at full speed: the receiver takes both one after the other.
    @Test func aReceiverIsShared() throws {
        var (one, other, receiver) = (try books(), try books(), try books())
        let arrivals = [one.post(byteCount: 1000, row: 0, at: 0), other.post(byteCount: 500, row: 0, at: 100)].map { first, duration in
            let arrival = receiver.arrival(firstByteAt: first, duration: duration)
            receiver.take(arrivedAt: arrival)
            return arrival
        }
        #expect(arrivals == [6000, 6500])
    }

    /// Where its own bytes keep the link busy, answers need not be early; an idle link is not kept waiting for the sake of sleep.
    @Test func aGatheringSleeperWakesBeforeItsLinkIsIdle() throws {
        var books = try books()
        let (moderation, patience) = (LinkBooks.moderationNanoseconds, LinkBooks.patienceNanoseconds)
        let start: UInt64 = 1_000_000
        #expect(books.gatheringEnd(next: start, last: 0) == start)
        #expect(books.gatheringEnd(next: start, last: start - 1) == start - 1 + moderation)
        #expect(books.gatheringEnd(next: .max, last: start) == .max)
        // 200 us of bytes, and 2 ms of them.
        _ = books.post(byteCount: 200_000, row: 0, at: start)
        #expect(books.gatheringEnd(next: start + 10_000, last: 0) == start + 200_000 - moderation)
        #expect(books.gatheringEnd(next: start + 190_000, last: 0) == start + 190_000)
        _ = books.post(byteCount: 1_800_000, row: 0, at: start)
        #expect(books.gatheringEnd(next: start + 10_000, last: 0) == start + 10_000 + patience)
    }

    // MARK: the fabric

    /// A patient sleeper whose own bytes keep its link busy gets several events by one sleep, at the end of which all are there that were due. In several rounds,
    /// because a core that comes late looks like patience.
    @Test(arguments: 0..<4) func patienceLosesNothing(round: Int) throws {
        let (count, byteCount, ownByteCount) = (12, 3000, 256 << 10)
        var pair = try Pair.make(byteCount: ownByteCount, link: emulatedLink("1Gbit,20ms"))
        pair.right.livenessIntervalMilliseconds = 600_000
        let back = try pair.right.attach(pair.left.descriptor(of: pair.leftRegion), of: 0)
        // 42 ms of bytes of its own. The first of the other's is due 20 ms after it was posted, the next ones each 24 us later.
        let own = Write(
            channel: Channel(peer: 0), source: pair.rightRegion, sourceOffset: 0, destination: back, destinationOffset: 0,
            byteCount: ownByteCount, immediate: 0)
        let begin = pair.right.now().nanoseconds
        for _ in 0..<20 { _ = try pair.right.write(own) }
        for immediate in 0..<count { _ = try pair.left.write(pair.write(byteCount, immediate: UInt32(immediate))) }
        // All is posted before the first is due, and so early that the link is busy until the last is: of another round this says nothing.
        let isInTime = pair.right.now().nanoseconds < begin + 20_000_000
        let deadline = pair.right.now().advanced(milliseconds: 60_000)
        var (received, bySleep) = (0, [0])
        while received < count, pair.right.now() < deadline {
            if case .arrival(_, let immediate) = pair.right.poll() {
                #expect(Int(immediate) == received)
                received += 1
                bySleep[bySleep.count - 1] += 1
            } else {
                pair.right.waitPatiently(until: deadline)
                bySleep.append(0)
            }
        }
        #expect(received == count)
        // The last is due 0.3 ms after the first, for which alone a sleeper without patience wakes.
        #expect(!isInTime || bySleep == [0, count], "by sleep: \(bySleep)")
    }

    /// Whoever begins to wait wakes a patient sleeper, whatever that sleeps for; a call before the sleep counts.
    @Test(arguments: [false, true]) func aWakerEndsPatience(isBusy: Bool) throws {
        let byteCount = 4 << 20
        var pair = try Pair.make(byteCount: byteCount, link: emulatedLink("1Mbit,1ms"))
        pair.right.livenessIntervalMilliseconds = 600_000
        // Due in 33 s.
        _ = try pair.left.write(pair.write(byteCount))
        if isBusy {
            let back = try pair.right.attach(pair.left.descriptor(of: pair.leftRegion), of: 0)
            let own = Write(
                channel: Channel(peer: 0), source: pair.rightRegion, sourceOffset: 0, destination: back, destinationOffset: 0,
                byteCount: byteCount, immediate: 0)
            for _ in 0..<2 { _ = try pair.right.write(own) }
        }
        let waker = pair.right.waker()
        for isAsleep in [false, true] {
            if isAsleep { Thread.detachNewThread { waker.wake() } } else { waker.wake() }
            pair.right.waitPatiently(until: pair.right.now().advanced(milliseconds: 60_000))
            #expect(pair.right.poll() == nil)
        }
    }

    /// What is handed out was due, in order, on both channels; nothing that was not due is ever handed out, nor completed.
    @Test(arguments: ["1000Gbit,0us", "10Gbit,20us", "1Gbit,0us"]) func nothingComesBeforeItsTime(text: String) throws {
        let link = try emulatedLink(text)
        let byteCount = 3000
        let nanosecondsPerByte = 8e9 / Double(link.bitsPerSecond)
        var pair = try Pair.make(channels: 2, link: link)
        let count = 200
        var (sent, received, completed, bytes) = ([0, 0], [0, 0], [0, 0], 0.0)
        let start = pair.left.now().nanoseconds
        while received.reduce(0, +) < count || completed.reduce(0, +) < count {
            while sent.reduce(0, +) < count {
                let channel = sent.reduce(0, +) % 2
                do throws(FabricError) {
                    _ = try pair.left.write(pair.write(byteCount, channel: channel, immediate: UInt32(sent[channel])))
                } catch {
                    guard error.cause == .queueFull else { throw error }
                    break
                }
                sent[channel] += 1
            }
            let event = pair.right.poll()
            let elapsed = Double(pair.right.now().nanoseconds - start)
            if case .arrival(let channel, let immediate) = event {
                #expect(Int(immediate) == received[channel.index])
                received[channel.index] += 1
                bytes += Double(byteCount)
                #expect(elapsed >= bytes * nanosecondsPerByte + Double(link.latencyNanoseconds), "arrival \(received) after \(elapsed) ns")
            } else if event != nil {
                Issue.record("unexpected \(event!)")
                return
            }
            if case .completion(let channel, let through) = pair.left.poll() {
                #expect(Int(through) == completed[channel.index] + 1)
                completed[channel.index] = Int(through)
                let elapsed = Double(pair.left.now().nanoseconds - start)
                let left = Double(completed.reduce(0, +) * byteCount) * nanosecondsPerByte
                #expect(elapsed >= left + 2 * Double(link.latencyNanoseconds))
            }
            if event == nil { pair.right.wait(until: pair.right.now().advanced(milliseconds: 1)) }
        }
        #expect(pair.right.poll() == nil && pair.left.poll() == nil)
    }

    @Test func showsNoMemory() throws {
        let pair = try Pair.make(link: emulatedLink("10Gbit,5us"))
        #expect(unsafe pair.left.address(of: pair.remote) == nil)
        #expect(!pair.left.writesCompleteAtOnce && pair.left.deviceName == "emulated link 10 Gbit/s 5 us")
    }

    /// A peer that leaves, or is gone, is reported when the last of what it wrote has come.
    @Test(arguments: [true, false]) func leavesLast(inOrder: Bool) throws {
        var pair = try Pair.make(channels: 3, link: emulatedLink("10Mbit,1ms"))
        for channel in [2, 1, 0, 2] { _ = try pair.left.write(pair.write(1000, channel: channel)) }
        if inOrder {
            pair.left.close(deadline: .distantFuture)
        } else {
            pair.left = try SharedMemoryFabric(.init(rank: 0, worldSize: 2, jobKey: []))
        }
        let deadline = pair.right.now().advanced(milliseconds: 60_000)
        var arrivals = 0
        while pair.right.now() < deadline {
            switch pair.right.poll() {
            case .arrival: arrivals += 1
            case .closed(peer: 0), .failure:
                #expect(arrivals == 4)
                return
            case nil: pair.right.wait(until: deadline)
            case .some(let other): Issue.record("unexpected \(other)")
            }
        }
        Issue.record("no leave")
    }

    @Test func refusesToSleepOnADescriptor() {
        var configuration = SharedMemoryConfiguration(rank: 0, worldSize: 2, jobKey: [], sleepsOnDescriptor: true)
        configuration.link = .init("10Gbit,5us")
        #expect(throws: FabricError.self) { _ = try SharedMemoryFabric(configuration) }
    }
}
