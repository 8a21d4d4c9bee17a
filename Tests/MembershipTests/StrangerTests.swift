import Testing

@testable import Membership

@Suite struct StrangerTests {
    struct Stranger: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var bytes: [UInt8]
    }

    @Test(arguments: [
        Stranger(testDescription: "a web browser", bytes: Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)),
        Stranger(testDescription: "a huge length", bytes: [255, 255, 255, 255]),
        Stranger(testDescription: "one byte over the limit", bytes: RawConnection.lengthBytes(1025)),
        Stranger(testDescription: "an empty frame", bytes: [0, 0, 0, 0]),
        Stranger(testDescription: "a frame of zeros", bytes: RawConnection.lengthBytes(200) + Array(repeating: 0, count: 200)),
        Stranger(testDescription: "JSON without a code", bytes: RawConnection.lengthBytes(100) + Array(repeating: 0x7B, count: 100)),
        Stranger(testDescription: "half a frame, then nothing", bytes: RawConnection.lengthBytes(200) + [1, 2, 3]),
        Stranger(testDescription: "silence", bytes: []),
    ])
    func isDroppedAndDisturbsNobody(stranger: Stranger) async throws {
        let world = try World(2, bounds: RendezvousBounds(handshakeTimeoutSeconds: 2))
        let early = try RawConnection(port: world.coordinator.port)
        early.send(stranger.bytes)
        try await offPool { try early.waitUntilClosed() }
        let ranks = try await world.joinAll()
        let late = try RawConnection(port: world.coordinator.port)
        late.send(stranger.bytes)
        try await offPool { try late.waitUntilClosed() }
        let results = await onThreads(2) { rank throws(RendezvousError) in
            try ranks[rank].barrier(label: "undisturbed", timeoutSeconds: patience)
        }
        for result in results { try result.get() }
        #expect(world.coordinator.failure == nil)
        world.end(ranks)
    }

    @Test func aHelloCannotBeReplayed() async throws {
        let world = try World(2)
        var honest: RawRank? = try RawRank(0, in: world)
        let replayer = try RawConnection(port: world.coordinator.port)
        _ = try replayer.receiveFrame()
        replayer.sendFrame(try #require(honest).signedHello)
        // Were it taken, rank 0 would be there twice, and the job would end.
        try replayer.waitUntilClosed()
        #expect(world.coordinator.failure == nil)
        honest = nil
        world.coordinator.stop()
    }

    @Test func tooManyOfThemAreTurnedAwayUntilSomeGo() async throws {
        let world = try World(2, bounds: RendezvousBounds(handshakeTimeoutSeconds: 10 * patience))
        let limit = RendezvousBounds.pendingConnectionLimit(worldSize: 2)
        var strangers: [RawConnection] = []
        for _ in 0..<limit {
            let stranger = try RawConnection(port: world.coordinator.port)
            _ = try stranger.receiveFrame()
            strangers.append(stranger)
        }
        try RawConnection(port: world.coordinator.port).waitUntilClosed()
        strangers.removeAll()
        world.end(try await world.joinAll())
    }

    /// A rank that has joined, and then sends what no rank sends.
    @Test(arguments: ["a forged code", "a huge length", "a message of the coordinator", "a gather out of turn"])
    func aJoinedRankThatBreaksTheProtocolIsLost(what: String) async throws {
        let world = try World(2)
        let joining = onThreadsLater(1) { _ throws(RendezvousError) in try world.join(0) }
        var raw = try RawRank(1, in: world)
        let member = try await joining.value[0].get()
        switch what {
        case "a forged code": raw.connection.sendFrame(Array(repeating: 7, count: 100))
        case "a huge length": raw.connection.send([255, 255, 255, 255])
        case "a gather out of turn": raw.send(.contribute(gather: GatherID(sequence: 5), members: nil, label: "", timeoutSeconds: 1))
        default: raw.send(.started)
        }
        let verdict = member.agreedVerdict(waitingAtMostMilliseconds: Int(patience * 1000))
        #expect(verdict?.rank == 1 && verdict?.detail.contains("broke the rendezvous protocol") == true)
        try raw.connection.waitUntilClosed()
        world.end([member])
    }

    @Test func aFrameCannotBeReplayedReorderedOrTurnedRound() throws {
        let nonces = Handshake.Nonces(coordinator: Handshake.nonce(), rank: Handshake.nonce())
        let handshake = Handshake(secret: "x")
        var (sender, other) = handshake.seals(nonces: nonces)
        var (receiver, _) = handshake.seals(nonces: nonces)
        func sealed() -> [UInt8] { sender.seal(Envelope(.alive).body).dropFirst().flatMap { Array($0.readableBytesView) } }
        let first = sealed()
        let second = sealed()
        #expect(throws: FrameError.notAuthentic) { try receiver.open(.init(bytes: second)) }
        #expect(throws: FrameError.notAuthentic) { try other.open(.init(bytes: first)) }
        var changed = first
        changed[5] ^= 1
        #expect(throws: FrameError.notAuthentic) { try receiver.open(.init(bytes: changed)) }
        #expect(throws: FrameError.truncated) { try receiver.open(.init(bytes: [1, 2, 3])) }
        #expect(Envelope.decode(try receiver.open(.init(bytes: first)))?.message == .alive)
        #expect(throws: FrameError.notAuthentic) { try receiver.open(.init(bytes: first)) }
        _ = try receiver.open(.init(bytes: second))
    }

    @Test func framesComeOutWholeHoweverTheyArrive() throws {
        let bytes = FrameReader.frame([1, 2, 3])
        var reader = FrameReader(byteLimit: 3)
        for byte in Array(bytes.readableBytesView) + Array(bytes.readableBytesView) {
            reader.append(.init(bytes: [byte]))
            if let frame = try reader.next() { #expect(Array(frame.readableBytesView) == [1, 2, 3]) }
        }
        #expect(try reader.next() == nil)
        reader.append(FrameReader.frame([1, 2, 3, 4]))
        #expect(throws: FrameError.tooLong(byteCount: 4, limit: 3)) { try reader.next() }
    }

    @Test func everyRefusalFitsItsFrame() {
        // The longest texts, of the characters that JSON lengthens most.
        let worst = String(repeating: "\u{1}\"", count: 400)
        let verdict = Verdict(rank: 1 << 40, cause: .configuration, worst, during: worst, remedy: worst)
        let error = RendezvousError(verdict)
        let body = Wire.encode(Handshake.Answer.refused(error)).count + FrameSeal.macByteCount
        #expect(body <= RendezvousBounds.answerFrameByteLimit)
        let hello = Handshake.Hello(
            protocolVersion: .max, version: oneLine(worst, byteLimit: Handshake.versionByteLimit), rank: .min, worldSize: .max,
            nonce: Array(repeating: 255, count: 32))
        #expect(Wire.encode(hello).count + FrameSeal.macByteCount <= RendezvousBounds.helloFrameByteLimit)
    }
}
