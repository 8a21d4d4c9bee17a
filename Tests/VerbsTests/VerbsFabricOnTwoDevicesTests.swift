import Fabric
import Testing
import Verbs

@testable import VerbsFabric

/// Ranks that use two devices each, the same two where there are no more.
@Suite(.needsTwoDevices, .serialized) struct VerbsFabricOnTwoDevicesTests {
    /// With so many channels that the devices do not get the same number.
    private func connectedOnTwo(_ world: Int, channels: Int = 3, _ change: (inout VerbsFabricConfiguration) -> Void = { _ in }) throws
        -> [Seat]
    {
        let seats = try (0..<world).map { rank in
            try Seat(
                configuration(rank, of: world) {
                    ($0.devicesPerRank, $0.channelsPerPeer, $0.localRank) = (2, channels, rank)
                    change(&$0)
                })
        }
        for error in connect(seats) { #expect(error == nil) }
        return seats
    }

    @Test func channelsTakeTheDevicesInTurnAtBothEnds() throws {
        for seat in try connectedOnTwo(3) {
            try seat.use { (fabric) throws(FabricError) in
                #expect(Set(fabric.devices.map(\.name)).count == 2)
                #expect(fabric.deviceName == fabric.devices.map(\.name).joined(separator: ","))
                for channel in fabric.channels {
                    #expect(channel.device == channel.channel.index % 2)
                    #expect(channel.connection?.runs(on: fabric.devices[channel.device].domain.device) == true)
                }
            }
        }
    }

    /// One memory, reached through either device: what one channel brought the next sends on.
    @Test(arguments: [true, false], [true, false]) func everyChannelReachesTheSameMemory(isLent: Bool, isInPieces: Bool) throws {
        let (byteCount, channels) = (10_000, 3)
        // Sleeps at once, so that each device's events have to wake it.
        let seats = try connectedOnTwo(2, channels: channels) {
            $0.waits.deviceYieldNanoseconds = 0
            if isInPieces {
                $0.limits.pieces = RegistrationPieces(strideExponent: 12, overlapByteCount: byteCount, wholeByteLimit: 4096)
            }
        }
        let lent = UnsafeMutableRawPointer.allocate(byteCount: 2 * byteCount, alignment: 1)
        defer { unsafe lent.deallocate() }
        var (own, views): ([Region], [RemoteRegion]) = ([], [])
        for seat in seats {
            let base = unsafe lent + seat.rank * byteCount
            // SAFETY: freed at the end of the test, after the release.
            own.append(
                try seat.use { (fabric) throws(FabricError) in
                    isLent ? unsafe try fabric.register(LentMemory(base, byteCount: byteCount))! : try fabric.allocate(byteCount: byteCount)
                })
        }
        for seat in seats {
            let descriptor = try seats[1 - seat.rank].use { (fabric) throws(FabricError) in fabric.descriptor(of: own[1 - seat.rank]) }
            views.append(try seat.use { (fabric) throws(FabricError) in try fabric.attach(descriptor, of: 1 - seat.rank) })
        }
        // SAFETY: inside the regions, and nothing of them is under way but what is waited for.
        for round in 0..<UInt8(4 * channels) {
            let (writer, channel) = (Int(round % 2), Int(round / 2) % channels)
            unsafe own[writer].base.storeBytes(of: round + 1, toByteOffset: 9_999, as: UInt8.self)
            let ticket = try seats[writer].write(
                own[writer], to: views[writer], channel: channel, byteCount: byteCount, immediate: UInt32(round))
            let expected = Channel(peer: writer, index: channel)
            guard case .arrival(expected, immediate: UInt32(round)) = try seats[1 - writer].next() else { throw Unexpected("no arrival") }
            #expect(unsafe own[1 - writer].base.load(fromByteOffset: 9_999, as: UInt8.self) == round + 1)
            let back = Channel(peer: 1 - writer, index: channel)
            guard case .completion(back, through: ticket) = try seats[writer].next() else { throw Unexpected("no completion") }
        }
        for seat in seats { try seat.use { (fabric) throws(FabricError) in fabric.release(own[seat.rank]) } }
    }

    @Test func moreChannelsThanOneCompletionQueueOfEachTakes() throws {
        let channels = 50
        let seats = try connectedOnTwo(2, channels: channels)
        let (source, _, remote) = try regions(seats[0], seats[1], byteCount: 64)
        let parts = try seats[0].use { (fabric) throws(FabricError) in fabric.completions?.parts ?? 0 }
        if seats[0].isSoftRoCE { #expect(parts == 4) }
        for index in 0..<channels { try seats[0].write(source, to: remote, channel: index, byteCount: 8, immediate: UInt32(index)) }
        var arrived: Set<UInt32> = []
        while arrived.count < channels {
            guard case .arrival(let channel, let immediate) = try seats[1].next() else { throw Unexpected("no arrival") }
            #expect(channel.index == Int(immediate))
            arrived.insert(immediate)
        }
    }

    @Test func aPeerThatCrashesIsReportedOnce() throws {
        let seats = try connectedOnTwo(2)
        seats[1].crash()
        guard case .failure(let error) = try seats[0].next() else { throw Unexpected("no failure") }
        #expect(error.cause == .peerDied)
        #expect(error.peer == 1)
        try seats[0].use { (fabric) throws(FabricError) in
            for _ in 0..<(2 * VerbsFabric.pollsPerControlCheck) { #expect(fabric.poll() == nil) }
        }
    }

    /// Some of its goodbyes are on the other device's queue than the requests that its end flushes.
    @Test func whatAPeerSaidBeforeItsEndIsReadFromEveryDevice() throws {
        let seats = try connectedOnTwo(2)
        try seats[1].leaveUnheard(by: seats[0])
        guard case .closed(peer: 1) = try seats[0].next() else { throw Unexpected("no leave") }
    }

    /// The peer is to hear of a device that failed, not of a rank that seems to have died.
    @Test(arguments: [FabricError.Cause.deviceFailed, .peerUnreachable, .peerDied])
    func onlyADeadPeersConnectionsAreEndedAtOnce(cause: FabricError.Cause) throws {
        try connectedOnTwo(2)[0].use { (fabric) throws(FabricError) in
            fabric.fail(peer: 1, FabricError(cause, during: .write, peer: 1, detail: "of this test"))
            for channel in fabric.channels {
                let state = try wrapping(.write) { () throws(VerbsError) in try channel.queuePair?.state() }
                #expect(cause == .peerDied ? state?.isBroken == true : state?.isReadyToSend == true)
            }
        }
    }

    @Test func anotherNumberOfDevicesIsToldOnBothSides() throws {
        let seats = try [1, 2].enumerated().map { rank, count in
            try Seat(configuration(rank, of: 2) { ($0.devicesPerRank, $0.channelsPerPeer) = (count, 2) })
        }
        for (seat, error) in zip(seats, connect(seats)) {
            #expect(error?.cause == .wrongPeer)
            #expect(error?.detail.contains("devices per rank differ: ours \(seat.rank + 1)") == true)
            #expect(error?.detail.hasSuffix("theirs \(2 - seat.rank)") == true)
            #expect(error?.remedy.contains("same number of devices") == true)
        }
    }

    @Test func aDescriptorWithTooFewKeysIsRefused() throws {
        let seats = try connectedOnTwo(2)
        let descriptor = try seats[1].use { (fabric) throws(FabricError) in fabric.descriptor(of: try fabric.allocate(byteCount: 8)) }
        let error = #expect(throws: FabricError.self) {
            try seats[0].use { (fabric) throws(FabricError) in try fabric.attach(Array(descriptor.dropLast(4)), of: 1) }
        }
        #expect(error?.cause == .wrongPeer)
    }
}
