import Fabric
import SharedMemoryFabric
import Testing

/// Two ranks on the test's own thread: on shared memory neither needs the other to run.
struct Pair: ~Copyable {
    var left: SharedMemoryFabric
    var right: SharedMemoryFabric
    let leftRegion: Region
    let rightRegion: Region
    /// Of `rightRegion`, as the left rank knows it.
    let remote: RemoteRegion

    static func make(channels: Int = 1, depth: Int = 64, byteCount: Int = 4096, link: EmulatedLink? = nil) throws -> Pair {
        func open(_ rank: Int) throws(FabricError) -> SharedMemoryFabric {
            var configuration = SharedMemoryConfiguration(
                rank: rank, worldSize: 2, channelsPerPeer: channels, arrivalDepth: depth, jobKey: [], waits: WaitPolicy())
            configuration.link = link
            return try SharedMemoryFabric(configuration)
        }
        var left = try open(0)
        var right = try open(1)
        try left.connect(to: [1: right.endpoint], deadline: .distantFuture)
        try right.connect(to: [0: left.endpoint], deadline: .distantFuture)
        let leftRegion = try left.allocate(byteCount: byteCount)
        let rightRegion = try right.allocate(byteCount: byteCount)
        let remote = try left.attach(right.descriptor(of: rightRegion), of: 1)
        return Pair(left: left, right: right, leftRegion: leftRegion, rightRegion: rightRegion, remote: remote)
    }

    func write(_ byteCount: Int, to offset: Int = 0, channel: Int = 0, immediate: UInt32 = 0) -> Write {
        Write(
            channel: Channel(peer: 1, index: channel), source: leftRegion, sourceOffset: 0, destination: remote, destinationOffset: offset,
            byteCount: byteCount, immediate: immediate)
    }
}

// SAFETY: regions live as long as their pair, which the test holds; one thread touches them.
func byte(_ region: Region, _ offset: Int) -> UInt8 { unsafe region.base.load(fromByteOffset: offset, as: UInt8.self) }
func set(_ region: Region, _ offset: Int, _ value: UInt8) { unsafe region.base.storeBytes(of: value, toByteOffset: offset, as: UInt8.self) }

func emulatedLink(_ text: String) throws -> EmulatedLink { try #require(EmulatedLink(text)) }
