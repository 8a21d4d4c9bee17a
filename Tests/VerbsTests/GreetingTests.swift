import Testing
import Verbs

@testable import VerbsFabric

private func configuration(epoch: UInt32 = 5, worldSize: Int = 4, key: UInt8 = 7) -> VerbsFabricConfiguration {
    VerbsFabricConfiguration(
        rank: 0, worldSize: worldSize, localRank: 0, jobKey: [UInt8](repeating: key, count: 16), epoch: epoch)
}

private func greeting(_ change: (inout Greeting) -> Void = { _ in }) -> Greeting {
    var greeting = Greeting(.request, configuration(), initiator: 1, responder: 3, channelIndex: 0)
    change(&greeting)
    return greeting
}

@Suite struct GreetingTests {
    @Test func comesBackFromTheWireWithAnyPadding() throws {
        let original = greeting { $0.channelsPerPeer = 3 }
        let bytes = original.encoded
        #expect(bytes.count == Greeting.byteCount)
        #expect(bytes.count <= Greeting.requestCapacity)
        for capacity in [Greeting.byteCount, Greeting.requestCapacity, 196] {
            let padded = bytes + [UInt8](repeating: 0, count: capacity - bytes.count)
            #expect(try Greeting(decoding: padded) == original)
        }
        #expect(original.mismatch(with: original) == nil)
    }

    @Test(arguments: 0..<Greeting.byteCount) func aTruncatedGreetingIsAStrangers(length: Int) {
        let error = #expect(throws: Mismatch.self) { _ = try Greeting(decoding: Array(greeting().encoded.prefix(length))) }
        #expect(error?.isOfThisJob == false)
    }

    @Test func anotherProtocolOrVersionIsToldApart() {
        var bytes = greeting().encoded
        bytes[5] = 9
        #expect(throws: Mismatch(field: .protocolVersion, ours: "1", theirs: "9")) { _ = try Greeting(decoding: bytes) }
        bytes[0] = 0
        let error = #expect(throws: Mismatch.self) { _ = try Greeting(decoding: bytes) }
        #expect(error?.field == .protocolMagic)
    }

    static let differences: [(Greeting.Field, @Sendable (inout Greeting) -> Void)] = [
        (.jobKey, { $0.jobKey[15] = 0 }), (.epoch, { $0.epoch = 6 }), (.worldSize, { $0.worldSize = 5 }),
        (.channelsPerPeer, { $0.channelsPerPeer = 2 }), (.arrivalDepth, { $0.arrivalDepth = 1 }), (.responderRank, { $0.responder = 2 }),
        (.initiatorRank, { $0.initiator = 0 }), (.channelIndex, { $0.channelIndex = 1 }),
    ]

    @Test(arguments: differences.indices) func everyDifferenceIsNamedOnBothSides(index: Int) throws {
        let (field, change) = Self.differences[index]
        let ours = greeting()
        let theirs = greeting(change)
        let atResponder = try #require(ours.mismatch(with: theirs))
        #expect(atResponder.field == field)
        // What the responder sends back lets the initiator name the same field with the values the other way round.
        let refusal = try Greeting(decoding: ours.refusal(because: field).encoded)
        let atInitiator = try #require(theirs.mismatch(refusedWith: refusal))
        #expect(atInitiator.field == field)
        if field != .jobKey {
            #expect(atInitiator.ours == atResponder.theirs)
            #expect(atInitiator.theirs == atResponder.ours)
            #expect("\(atInitiator)".contains(field.name))
        }
    }

    @Test func aStrangerLearnsNothingOfTheKey() throws {
        let refusal = greeting().refusal(because: .jobKey)
        #expect(refusal.jobKey.allSatisfy { $0 == 0 })
        let mismatch = try #require(greeting().mismatch(with: greeting { $0.jobKey[0] = 255 }))
        #expect(!"\(mismatch)".contains("255"))
        #expect(!mismatch.isOfThisJob)
    }
}

@Suite struct WireFormatTests {
    @Test(arguments: [4, 16]) func endpointsComeBack(length: Int) throws {
        let bytes = [0x10, 0x00, 1, length == 4 ? UInt8(4) : 6, 24, 0x12, 0x34] + (1...UInt8(length))
        let endpoint = try #require(Endpoint(decoding: bytes))
        #expect(endpoint.devices.map(\.mtu) == [4096])
        #expect(endpoint.devices[0].places.map(\.address.port) == [0x1234])
        #expect(endpoint.devices[0].places.map(\.prefixLength) == [24])
        #expect(endpoint.encoded == bytes)
        #expect(Endpoint(decoding: bytes.dropLast()) == nil)
        #expect(Endpoint(decoding: bytes + [0]) == nil)
        #expect(Endpoint(decoding: []) == nil)
    }

    @Test func endpointsOfSeveralDevicesComeBackInOrder() throws {
        let bytes: [UInt8] = [4, 0, 2, 4, 8, 0, 1, 10, 0, 0, 1, 6, 64, 0, 2] + (1...16) + [8, 0, 1, 4, 32, 0, 3, 10, 0, 0, 2]
        let endpoint = try #require(Endpoint(decoding: bytes))
        #expect(endpoint.devices.map(\.mtu) == [1024, 2048])
        #expect(endpoint.devices.map { $0.places.map(\.address.port) } == [[1, 2], [3]])
        #expect(endpoint.devices.flatMap(\.places).map(\.address.address.isVersion4) == [true, false, true])
        #expect(endpoint.encoded == bytes)
        #expect(Endpoint(decoding: bytes.dropLast()) == nil)
    }

    @Test func endpointsOfOtherFamiliesAreRefused() {
        let right: [UInt8] = [16, 0, 1, 4, 32, 0, 1, 10, 0, 0, 1]
        #expect(Endpoint(decoding: right) != nil)
        for (place, value) in [(3, 5), (4, 33), (0, 0), (2, 0), (2, 2)] as [(Int, UInt8)] {
            var bytes = right
            bytes[place] = value
            #expect(Endpoint(decoding: bytes) == nil)
        }
    }

    private static func end(_ subnets: [String]) -> RouteEnd {
        let places = subnets.enumerated().compactMap { number, text in
            Subnet(text: text).map {
                RouteEnd.Place(address: SocketAddress(address: $0.address, port: UInt16(number + 1)), prefixLength: $0.prefixLength)
            }
        }
        return RouteEnd(mtu: 1024, places: places)
    }

    @Test(arguments: [
        (["10.0.0.1/24"], ["10.0.0.2/24"], ["10.0.0.1 to 10.0.0.2:1"]),
        // The first of each do not reach each other without a router: the second do.
        (
            ["10.1.0.1/24", "10.0.0.1/24"], ["192.168.0.2/24", "10.0.0.2/24"],
            [
                "10.0.0.1 to 10.0.0.2:2", "10.1.0.1 to 192.168.0.2:1", "10.1.0.1 to 10.0.0.2:2", "10.0.0.1 to 192.168.0.2:1",
            ]
        ),
        (["10.0.0.1/24", "fd00::1/64"], ["fd00::2/64"], ["fd00::1 to [fd00::2]:1"]),
        (["10.0.0.1/24"], ["fd00::2/64"], []),
    ])
    func waysWithoutARouterComeFirst(ours: [String], theirs: [String], routes: [String]) {
        #expect(Self.end(ours).routes(to: Self.end(theirs)).map(\.description) == routes)
    }

    @Test func regionDescriptorsComeBackAndMayNotLeaveTheAddressSpace() throws {
        for keys in [[0xDEAD_BEEF], [1, 2, 3]] as [[UInt32]] {
            let descriptor = RegionDescriptor(address: 1 << 40, byteCount: 4096, keys: keys.map(RemoteKey.init(rawValue:)))
            #expect(RegionDescriptor(decoding: descriptor.encoded) == descriptor)
            #expect(descriptor.encoded.count == 17 + 4 * keys.count)
            #expect(descriptor.isComplete(devices: keys.count) && !descriptor.isComplete(devices: keys.count + 1))
            #expect(RegionDescriptor(decoding: descriptor.encoded.dropLast()) == nil)
        }
        #expect(RegionDescriptor(decoding: [UInt8](repeating: 0, count: 17)) == nil, "without a key")
        let three = RegionDescriptor(address: 0, byteCount: 10_000, strideExponent: 12, keys: [1, 2, 3].map(RemoteKey.init(rawValue:)))
        #expect(RegionDescriptor(decoding: three.encoded) == three && three.isComplete(devices: 1))
        var even = three
        even.byteCount = 3 * 4096
        #expect(!even.isComplete(devices: 1), "what begins at the end has a key as well")
        let beyond = RegionDescriptor(address: .max - 10, byteCount: 11, keys: [.init(rawValue: 1)])
        #expect(RegionDescriptor(decoding: beyond.encoded) == nil)
    }

    @Test func tagsComeBackAndTicketsPassThirtyTwoBits() throws {
        for tag in [
            WorkRequestTag(.write, slot: 0, ticket: 1), WorkRequestTag(.receive, slot: 0xFF_FFFF), WorkRequestTag(.goodbye, slot: 7),
        ] {
            #expect(WorkRequestTag(tag.identifier) == tag)
        }
        #expect(WorkRequestTag(UInt64(0)) == nil)
        let ticket: UInt64 = 1 << 32 + 2
        #expect(WorkRequestTag(.write, slot: 0, ticket: ticket).ticket(after: ticket - 5) == ticket)
    }

    @Test(arguments: [(1, 1), (2, 1), (1024, 512), (1 << 20, 1)]) func receivesCoverWhatThePeerMaySend(arrivals: Int, writes: Int) {
        let sizes = QueueSizes(arrivalDepth: arrivals, writeDepth: writes)
        // One less than a batch may have been read and not be posted again while the peer has its full depth under way, and says goodbye.
        #expect(sizes.receives - (sizes.replenishBatch - 1) >= arrivals + 1)
        #expect(sizes.sends == writes + 1)
        #expect(sizes.completions == sizes.receives + sizes.sends)
        #expect(sizes.chain >= 1 && sizes.chain <= writes)
    }

    @Test func channelsSpreadOverAsFewQueuesAsTakeThem() throws {
        let sizes = QueueSizes(arrivalDepth: 1024, writeDepth: 512)
        #expect(sizes.completions == 1602)
        for channels in 1...200 {
            let (perQueue, queues) = try #require(sizes.spread(channels: channels, limit: 32_767))
            #expect(perQueue * sizes.completions <= 32_767)
            #expect(queues == (channels + 19) / 20)
            #expect((channels - 1) / perQueue < queues, "the last channel has a queue")
        }
        #expect(sizes.spread(channels: 1, limit: 1601) == nil)
    }
}
