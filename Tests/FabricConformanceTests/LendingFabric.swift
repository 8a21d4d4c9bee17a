import Fabric

@testable import SharedMemoryFabric

/// A far fabric for tests without a device: takes memory of the caller's own, as a device does. Its ranks are threads of one process, so a
/// region's descriptor is its address, a write copies there, and shared memory tells of it.
// SAFETY (whole file): a peer's regions live until the peer's end, after which no write to it passes `isOpen`.
struct LendingFabric: DescriptorWaiting, ~Copyable {
    private var inner: SharedMemoryFabric
    /// Its peers do not come: as on a device, only a waker or the deadline ends `connect` then.
    private let waitsToConnect: Bool
    /// What the messages without bytes are from and to.
    private let token: Region
    private var tokens: [RemoteRegion?]
    private var regions: [Region] = []
    private var isReleased: [Bool] = []
    private var remotes: [Region] = []

    var name: String { "lending" }
    var deviceName: String { "lender" }
    var rank: Int { inner.rank }
    var worldSize: Int { inner.worldSize }
    var channelsPerPeer: Int { inner.channelsPerPeer }
    var writeDepth: Int { inner.writeDepth }
    var arrivalDepth: Int { inner.arrivalDepth }
    var endpoint: [UInt8] { inner.endpoint }

    init(_ inner: consuming SharedMemoryFabric, waitsToConnect: Bool = false) throws(FabricError) {
        var inner = inner
        self.waitsToConnect = waitsToConnect
        token = try inner.allocate(byteCount: 8)
        tokens = Array(repeating: nil, count: inner.worldSize)
        self.inner = inner
    }

    mutating func connect(to peers: [Int: [UInt8]], deadline: FabricInstant) throws(FabricError) {
        if waitsToConnect {
            inner.wait(until: deadline)
            throw FabricError(.timedOut, during: .connect, detail: "this rank gave up waiting for connections before the deadline")
        }
        try inner.connect(to: peers, deadline: deadline)
    }

    mutating func allocate(byteCount: Int) throws(FabricError) -> Region {
        let own = try inner.allocate(byteCount: byteCount)
        return unsafe add(own.base, byteCount)
    }

    mutating func register(_ memory: LentMemory) throws(FabricError) -> Region? {
        unsafe add(memory.base, memory.byteCount)
    }

    private mutating func add(_ base: UnsafeMutableRawPointer, _ byteCount: Int) -> Region {
        let region = unsafe Region(identifier: UInt32(regions.count), base: base, byteCount: byteCount)
        regions.append(region)
        isReleased.append(false)
        return region
    }

    mutating func release(_ region: Region) { isReleased[Int(region.identifier)] = true }

    func descriptor(of region: Region) -> [UInt8] {
        var writer = WireWriter()
        writer.append(UInt64(UInt(bitPattern: unsafe region.base)))
        writer.append(UInt64(region.byteCount))
        writer.append(inner.descriptor(of: token))
        return writer.bytes
    }

    mutating func attach(_ descriptor: [UInt8], of peer: Int) throws(FabricError) -> RemoteRegion {
        var reader = WireReader(descriptor)
        guard let address: UInt64 = reader.read(), let byteCount: UInt64 = reader.read(),
            let base = unsafe UnsafeMutableRawPointer(bitPattern: UInt(address))
        else { throw FabricError(.wrongPeer, during: .attach, peer: peer, detail: "not a descriptor of this fabric") }
        if tokens[peer] == nil { tokens[peer] = try inner.attach(Array(descriptor.dropFirst(16)), of: peer) }
        remotes.append(unsafe Region(identifier: UInt32(remotes.count), base: base, byteCount: Int(byteCount)))
        return RemoteRegion(peer: peer, identifier: UInt32(remotes.count - 1), byteCount: Int(byteCount))
    }

    func address(of region: RemoteRegion) -> UnsafeMutableRawPointer? { nil }

    mutating func detach(_ region: RemoteRegion) {}

    mutating func write(_ write: Write) throws(FabricError) -> UInt64 {
        let (source, target) = (regions[Int(write.source.identifier)], remotes[Int(write.destination.identifier)])
        guard write.byteCount >= 0, write.sourceOffset >= 0, write.destinationOffset >= 0, !isReleased[Int(source.identifier)],
            write.sourceOffset <= source.byteCount - write.byteCount, write.destinationOffset <= target.byteCount - write.byteCount
        else { throw FabricError(.outOfBounds, during: .write, peer: write.channel.peer, detail: "leaves a region") }
        let row = inner.slots[write.channel.peer] * channelsPerPeer + write.channel.index
        // Where the message will be refused, no byte may move.
        if unsafe inner.channels[row].pointee.isOpen && inner.channels[row].pointee.writer.hasRoom() {
            unsafe (target.base + write.destinationOffset).copyMemory(
                from: source.base + write.sourceOffset, byteCount: write.byteCount)
        }
        return try inner.write(
            Write(
                channel: write.channel, source: token, sourceOffset: 0, destination: tokens[write.channel.peer]!, destinationOffset: 0,
                byteCount: 0, immediate: write.immediate))
    }

    mutating func poll() -> FabricEvent? { inner.poll() }
    mutating func wait(until deadline: FabricInstant) { inner.wait(until: deadline) }
    func now() -> FabricInstant { inner.now() }
    func waker() -> Waker { inner.waker() }
    mutating func close(deadline: FabricInstant) { inner.close(deadline: deadline) }

    var sleepDescriptors: [Int32] { inner.sleepDescriptors }
    var longestSleepMilliseconds: UInt64 { inner.longestSleepMilliseconds }
    mutating func flush() { inner.flush() }
    mutating func isAwaited() -> Bool { inner.isAwaited() }
    mutating func prepareToSleep() -> Bool { inner.prepareToSleep() }
    mutating func rise() { inner.rise() }
}
