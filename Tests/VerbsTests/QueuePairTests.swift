import Glibc
import Platform
import Testing

@testable import Verbs

/// Two queue pairs of this process, connected to each other through rdma_cm by one thread.
private final class Loop {
    let manager: ConnectionManager
    let listener: Listener
    let domain: ProtectionDomain
    let completions: CompletionQueue
    var active: QueuePair?
    var passive: QueuePair?
    var requestData: [UInt8] = []
    var replyData: [UInt8] = []

    /// - Parameter pathMTUs: what each end takes, the active one first.
    init(capacity: Int = 64, pathMTUs: (Int, Int) = (4096, 4096)) throws {
        let (name, address) = try #require(MachineCapability.usableAddress)
        manager = try ConnectionManager()
        listener = try Listener(manager, on: address, token: 0, backlog: 4)
        #expect(listener.deviceName == name)
        domain = try ProtectionDomain(on: DeviceContext(opening: name))
        completions = try CompletionQueue(on: [domain.device], capacity: capacity)
        let connection = try Connection(manager, token: 1)
        try connection.resolve(listener.address, from: address, timeoutMilliseconds: 5000)
        var established = 0
        while established < 2 {
            let event = try nextEvent()
            switch event.kind {
            case .addressResolved: try connection.resolveRoute(timeoutMilliseconds: 5000)
            case .routeResolved:
                connection.largestPathMTU = pathMTUs.0
                active = try makeQueuePair(connection)
                try connection.connect(privateData: [1, 2, 3])
            case .request:
                let connection = try #require(event.connection)
                requestData = event.privateData
                connection.adopt(token: 2)
                connection.largestPathMTU = pathMTUs.1
                passive = try makeQueuePair(connection)
                try passive?.postReceives(identifier: 100, count: 4)
                try connection.accept(privateData: [4, 5])
            case .accepted:
                replyData = event.privateData
                try connection.confirm()
                established += 1
            case .established: established += 1
            default: throw VerbsError(.system, call: event.name, errno: 0, detail: "unexpected with status \(event.status)")
            }
        }
    }

    func makeQueuePair(_ connection: Connection) throws -> QueuePair {
        #expect(connection.runs(on: domain.device))
        return try QueuePair(
            on: connection, domain: domain, completions: completions, sends: 8, receives: 8, chainCapacity: 4,
            inlineByteCount: 64)
    }

    func nextEvent() throws -> ConnectionEvent {
        for _ in 0..<10 {
            if let event = try manager.nextEvent() { return event }
            var sleepers = SleepSet([manager.descriptor])
            sleepers.wait(nanoseconds: 2_000_000_000)
        }
        throw VerbsError(.system, call: "rdma_get_cm_event", errno: 0, detail: "no event within 20 s")
    }

    func nextCompletion() throws -> Completion {
        for _ in 0..<10 {
            if try completions.fetch() { break }
            try completions.arm()
            if try completions.fetch() { break }
            var sleepers = SleepSet(completions.descriptors)
            sleepers.wait(nanoseconds: 2_000_000_000)
            if sleepers.isReadable(0..<1) { completions.drainEvents() }
        }
        return try #require(completions.take(), "no completion within 20 s")
    }

    func write(
        _ source: MemoryRegion, to destination: MemoryRegion, offset: Int = 0, byteCount: UInt32, immediate: UInt32 = 0,
        key: RemoteKey? = nil
    ) throws {
        let address = UInt64(UInt(bitPattern: unsafe destination.base)) + UInt64(offset)
        // SAFETY: both regions outlive the completion, which every test waits for.
        let pair = try #require(active)
        unsafe pair.chainWrite(
            identifier: 1, source: source.base, localKey: source.localKey(), byteCount: byteCount, remoteAddress: address,
            remoteKey: key ?? destination.remoteKey(), immediate: immediate)
        try pair.postChain()
    }
}

@Suite(.needsDevice, .serialized) struct QueuePairTests {
    @Test func theInventoryNamesTheDeviceAndItsPort() throws {
        let (name, address) = try #require(MachineCapability.usableAddress)
        let device = try #require(try deviceInventory().first { $0.name == name })
        #expect(device.limits.workRequestsPerQueue > 0)
        let port = try #require(device.ports.first { $0.state == .active })
        #expect([256, 512, 1024, 2048, 4096].contains(port.activeMTU))
        #expect(port.gids.contains { $0.address == address } || !port.interfaces.isEmpty)
    }

    @Test(arguments: [0, 1, 4096, 4097, 1 << 20]) func memoryIsZeroedPageAlignedAndPinned(byteCount: Int) throws {
        let (name, _) = try #require(MachineCapability.usableAddress)
        let domain = try ProtectionDomain(on: DeviceContext(opening: name))
        let region = try MemoryRegion(in: domain, byteCount: byteCount)
        #expect(UInt(bitPattern: unsafe region.base) % 4096 == 0)
        // SAFETY: the region has this length and lives until it is closed below.
        #expect(unsafe UnsafeRawBufferPointer(start: region.base, count: byteCount).allSatisfy { $0 == 0 })
        try region.close()
        try region.close()
    }

    @Test func privateDataTravelsBothWaysWithPadding() throws {
        let loop = try Loop()
        #expect(loop.requestData.prefix(3) == [1, 2, 3])
        #expect(loop.requestData.count >= 48)
        #expect(loop.replyData.prefix(2) == [4, 5])
        for pair in [loop.active, loop.passive] { #expect(try pair?.state().isReadyToSend == true) }
    }

    @Test func aWriteArrivesWithItsImmediateAndItsBytes() throws {
        let loop = try Loop()
        let source = try MemoryRegion(in: loop.domain, byteCount: 8192)
        let destination = try MemoryRegion(in: loop.domain, byteCount: 8192)
        // SAFETY: both regions have these lengths and outlive the test.
        unsafe UnsafeMutableRawBufferPointer(start: source.base, count: 8192).copyBytes(
            from: (0..<8192).map { UInt8(truncatingIfNeeded: $0 &* 7) })
        try loop.write(source, to: destination, offset: 100, byteCount: 5000, immediate: 0xDEAD_BEEF)
        try loop.write(source, to: destination, byteCount: 0, immediate: 2)
        var arrivals: [UInt32] = []
        var sent = 0
        for _ in 0..<4 {
            let completion = try loop.nextCompletion()
            #expect(completion.status == .success)
            if completion.kind == .receivedWrite { arrivals.append(completion.immediate) } else { sent += completion.kind == .sent ? 1 : 0 }
        }
        #expect(arrivals == [0xDEAD_BEEF, 2])
        #expect(sent == 2)
        #expect(unsafe memcmp(source.base, destination.base + 100, 5000) == 0)
        #expect(unsafe destination.base.load(fromByteOffset: 5100, as: UInt8.self) == 0)
    }

    @Test func onlyTheLastOfAChainIsSignalled() throws {
        let loop = try Loop()
        let pair = try #require(loop.active)
        for identifier in 0..<4 { pair.chainMessage(identifier: UInt64(identifier), immediate: UInt32(identifier)) }
        #expect(pair.chained == pair.chainCapacity)
        try pair.postChain()
        try pair.postChain()  // An empty chain is nothing.
        var sent: [UInt64] = []
        var received: [UInt32] = []
        while sent.isEmpty || received.count < 4 {
            let completion = try loop.nextCompletion()
            #expect(completion.status == .success)
            if completion.kind == .sent { sent.append(completion.identifier) } else { received.append(completion.immediate) }
        }
        #expect(sent == [3])
        #expect(received == [0, 1, 2, 3])
    }

    @Test func aDroppedChainNeverLeaves() throws {
        let loop = try Loop()
        let pair = try #require(loop.active)
        for identifier in 0..<3 { pair.chainMessage(identifier: UInt64(identifier), immediate: 0) }
        pair.dropChain()
        pair.chainMessage(identifier: 9, immediate: 5)
        try pair.postChain()
        for _ in 0..<2 {
            let completion = try loop.nextCompletion()
            #expect(completion.kind == .sent ? completion.identifier == 9 : completion.immediate == 5)
        }
    }

    @Test func aRefusedChainSaysSoAndIsEmpty() throws {
        let loop = try Loop()
        let pair = try #require(loop.active)
        // Four receives: the fifth message and those behind it stay in the queue until it is full.
        let error = #expect(throws: VerbsError.self) {
            for _ in 0..<64 {
                for identifier in 0..<4 { pair.chainMessage(identifier: UInt64(identifier), immediate: 0) }
                try pair.postChain()
            }
        }
        #expect(error?.cause == .resource)
        #expect(error?.call == "ibv_post_send")
        #expect(pair.chained == 0)
    }

    @Test func unsignalledRequestsAreFlushedLikeAll() throws {
        let loop = try Loop()
        let pair = try #require(loop.active)
        // The fifth has no receive to go to.
        for _ in 0..<2 {
            for identifier in 0..<4 { pair.chainMessage(identifier: UInt64(identifier), immediate: 0) }
            try pair.postChain()
        }
        var flushed: Set<UInt64> = []
        while flushed.count < 4 {
            let completion = try loop.nextCompletion()
            if completion.kind == .receivedMessage, completion.status == .success, completion.immediate == 0, flushed.isEmpty {
                pair.connection.disconnect()
            }
            if completion.status == .flushed, completion.identifier < 4 { flushed.insert(completion.identifier) }
        }
    }

    @Test(arguments: [1, 63, 64, 65, 4097]) func lentMemoryOfAnyAlignmentIsSourceAndTarget(byteCount: Int) throws {
        let loop = try Loop()
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 3 * 8192, alignment: 4096)
        defer { unsafe memory.deallocate() }
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
        let base = memory.baseAddress!
        // SAFETY: both parts lie in the memory, which outlives their regions.
        let source = unsafe try MemoryRegion(in: loop.domain, lent: base + 1, byteCount: byteCount)
        let target = unsafe try MemoryRegion(in: loop.domain, lent: base + 8192 + 3, byteCount: byteCount)
        for index in 0..<byteCount { unsafe memory[1 + index] = UInt8(truncatingIfNeeded: index &* 3 &+ 1) }
        try loop.write(source, to: target, byteCount: UInt32(byteCount), immediate: 1)
        for _ in 0..<2 { #expect(try loop.nextCompletion().status == .success) }
        #expect(unsafe memcmp(base + 1, base + 8192 + 3, byteCount) == 0)
        #expect(unsafe memory[8192 + 2] == 0 && memory[8192 + 3 + byteCount] == 0)
        try source.close()
        try source.close()
        try target.close()
        #expect(unsafe memory[1] == 1)
    }

    @Test func memoryInPiecesHasAKeyForWhatBeginsInEach() throws {
        let loop = try Loop()
        // A stride of two pages, and a page more.
        let pieces = RegistrationPieces(strideExponent: 13, overlapByteCount: 4096, wholeByteLimit: 12_288)
        let whole = try MemoryRegion(in: loop.domain, byteCount: 12_288, pieces: pieces)
        #expect(whole.strideExponent == RegistrationPieces.wholeExponent && whole.remoteKey(0) == whole.remoteKey(5))
        let region = try MemoryRegion(in: loop.domain, byteCount: 40_000, pieces: pieces)
        #expect(region.strideExponent == 13)
        #expect(Set((0...4).map { region.remoteKey($0) }).count == 5)
        let source = try MemoryRegion(in: loop.domain, byteCount: 4096)
        unsafe source.base.storeBytes(of: 77, toByteOffset: 4095, as: UInt8.self)
        // Up to the end of the piece, over where the next begins.
        try loop.write(source, to: region, offset: 8191, byteCount: 4096, key: region.remoteKey(0))
        for _ in 0..<2 { #expect(try loop.nextCompletion().status == .success) }
        #expect(unsafe region.base.load(fromByteOffset: 8191 + 4095, as: UInt8.self) == 77)
        // The last of a whole number of pieces has nothing to hold.
        let even = try MemoryRegion(in: loop.domain, byteCount: 16_384, pieces: pieces)
        #expect(even.remoteKey(2) == even.remoteKey(0) && even.remoteKey(1) != even.remoteKey(0))
        for closing in [whole, region, even] { try closing.close() }
    }

    @Test func aPeerMayWriteAndNothingElse() throws {
        let loop = try Loop()
        for pair in [loop.active, loop.passive] { #expect(try pair?.state().admitsReadsOrAtomics == false) }
    }

    @Test(arguments: [(4096, 4096), (1024, 4096), (4096, 512), (256, 1000)]) func packetsFitBothEnds(active: Int, passive: Int) throws {
        let loop = try Loop(pathMTUs: (active, passive))
        let port = try #require(try loop.domain.device.activeMTU(port: loop.listener.portNumber))
        #expect(loop.active?.connection.pathMTU == [256, 512, 1024, 2048, 4096].last { $0 <= min(port, active) })
        #expect(loop.passive?.connection.pathMTU == [256, 512, 1024, 2048, 4096].last { $0 <= min(port, passive) })
    }

    @Test func aCompletionQueueThatOverflowsIsHeardOf() throws {
        let loop = try Loop(capacity: 1)
        let pair = try #require(loop.active)
        // Each is flushed, which takes a completion.
        loop.passive?.connection.disconnect()
        pair.connection.disconnect()
        for _ in 0..<2 {
            for identifier in 0..<4 { pair.chainMessage(identifier: UInt64(identifier), immediate: 0) }
            try pair.postChain()
        }
        var sleepers = SleepSet([loop.domain.device.asyncDescriptor])
        var event: DeviceEvent?
        for _ in 0..<10 where event == nil {
            sleepers.wait(nanoseconds: 2_000_000_000)
            event = loop.domain.device.nextEvent()
        }
        #expect(event == .completionQueueFailed)
    }

    @Test func memoryThatIsNotThereIsRefused() throws {
        let (name, _) = try #require(MachineCapability.usableAddress)
        let domain = try ProtectionDomain(on: DeviceContext(opening: name))
        // SAFETY: the first page is never mapped, and nothing here touches it: the kernel is to say so.
        let nowhere = unsafe try #require(UnsafeMutableRawPointer(bitPattern: 64))
        do {
            _ = unsafe try MemoryRegion(in: domain, lent: nowhere, byteCount: 64)
            Issue.record("memory that is not mapped was taken")
        } catch {
            #expect(error.call == "ibv_reg_mr")
        }
    }

    @Test func aMessageIsNotAWrite() throws {
        let loop = try Loop()
        loop.active?.chainMessage(identifier: 9, immediate: 77)
        try loop.active?.postChain()
        var received: [Completion] = []
        for _ in 0..<2 { received.append(try loop.nextCompletion()) }
        let message = try #require(received.first { $0.kind == .receivedMessage })
        #expect(message.immediate == 77)
        #expect(message.identifier == 100)
        #expect(received.contains { $0.identifier == 9 && $0.kind == .sent })
    }

    @Test func aWriteBeyondTheRegionIsRefusedByThePeersDevice() throws {
        let loop = try Loop()
        let source = try MemoryRegion(in: loop.domain, byteCount: 8192)
        let destination = try MemoryRegion(in: loop.domain, byteCount: 4096)
        try loop.write(source, to: destination, byteCount: 8192)
        var completion = try loop.nextCompletion()
        while completion.identifier != 1 { completion = try loop.nextCompletion() }
        #expect(completion.status == .remoteAccess)
        #expect(try loop.active?.state().isBroken == true)
        // SAFETY: inside the region, which outlives the test.
        #expect(unsafe UnsafeRawBufferPointer(start: destination.base, count: 4096).allSatisfy { $0 == 0 })
    }

    @Test func aDisconnectionFlushesWhatIsPostedAndIsHeardOfOnTheOtherSide() throws {
        let loop = try Loop()
        loop.active?.connection.disconnect()
        #expect(try loop.nextEvent().kind == .disconnected)
        loop.passive?.connection.disconnect()
        for _ in 0..<4 {
            let completion = try loop.nextCompletion()
            #expect(completion.status == .flushed)
            #expect(completion.identifier == 100)
        }
    }

    @Test func nobodyListeningIsARejection() throws {
        let (_, address) = try #require(MachineCapability.usableAddress)
        let loop = try Loop()
        let connection = try Connection(loop.manager, token: 3)
        // Port 1 is nobody's: rdma_cm gives unprivileged ports only.
        try connection.resolve(SocketAddress(address: address, port: 1), from: address, timeoutMilliseconds: 5000)
        #expect(try loop.nextEvent().kind == .addressResolved)
        try connection.resolveRoute(timeoutMilliseconds: 5000)
        #expect(try loop.nextEvent().kind == .routeResolved)
        let queuePair = try loop.makeQueuePair(connection)
        try connection.connect(privateData: [])
        let event = try loop.nextEvent()
        #expect(event.kind == .rejected)
        #expect(event.token == 3)
        queuePair.close()
    }
}
