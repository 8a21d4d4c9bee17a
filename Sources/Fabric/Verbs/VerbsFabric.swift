internal import CPlatform
public import Fabric
internal import Platform
import Verbs

// Sendable without the compiler's proof: a value of this type is the only holder of everything in it (no copy can be made, nothing
// inside is handed out but the waker, which is Sendable), libibverbs binds nothing to a thread, and what does not mutate only reads.
/// The contract of a fabric on reliable connected queue pairs, set up by rdma_cm.
///
/// Each rank listens on the addresses of its devices, one or several; channel i of every peer goes over device i mod their number, at both
/// ends. Memory is registered with all of them. Of two ranks the lower connects and the higher accepts, once for every channel; both
/// ends say in private data who they are (`Greeting`). A write is an RDMA write with immediate data; an arrival is the completion of a
/// receive without memory, so nobody polls memory. Taking leave is a message of no bytes, which cannot be confused with a write: all
/// 32 bits of the immediate stay the caller's.
///
/// Threads: one at a time owns it; it may be made on one and moved to another. Blocking: `connect`, `wait` and `close`, by their deadlines.
/// Memory: regions are pinned. Queues of a channel hold `writeDepth` + `arrivalDepth` requests and a few (`QueueSizes`).
/// Destroying it without `close` is a crash to the peers: they report it as died.
public struct VerbsFabric: Fabric, ~Copyable, @unchecked Sendable {
    /// Polls of the completion queue between two looks at the connection manager, which cost a system call.
    static let pollsPerControlCheck = 256
    /// InfiniBand Architecture Specification, 9.7.2: no message is longer than 2^31 bytes. One less, because soft-RoCE, whose port says the
    /// same, flushes a write of 2^31 without a word.
    static let messageByteLimit = 1 << 31 - 1
    /// Writes of up to so many bytes leave their source as they are posted, if the device can.
    static let inlineByteCount = 64
    /// Attempts at a way to a peer before another is tried. The first of them times out where the neighbour is not known yet.
    static let attemptsPerRoute = 5
    /// One attempt at resolving an address. Where the neighbour is not known yet, the kernel looks for its answer only when the
    /// attempt's time is over (seen on 6.12: the first connection took exactly this long). So it is short, and repeated.
    static let resolveAttemptMilliseconds = 200

    let configuration: VerbsFabricConfiguration
    let sizes: QueueSizes
    public let name = "verbs"
    /// Of all devices, separated by commas.
    public let deviceName: String
    public let endpoint: [UInt8]
    public var rank: Int { configuration.rank }
    public var worldSize: Int { configuration.worldSize }
    public var channelsPerPeer: Int { configuration.channelsPerPeer }
    public var writeDepth: Int { configuration.writeDepth }
    public var arrivalDepth: Int { configuration.arrivalDepth }
    public let writeByteLimit: Int

    // Destroyed in this order: queue pairs first, then what they use. References would allow any order but for the regions:
    // no queue pair may be left that could reach them.
    var channels: [ChannelState] = []
    var peers: [PeerState]
    var completions: CompletionQueue? { didSet { sleepers = SleepSet(sleepDescriptors) } }
    /// Each region's registrations, one for each device; empty once released.
    var regionOwners: [[MemoryRegion]] = []
    var regions: [LocalRegionEntry] = []
    /// Piece p's key for device d is at `firstKey` + p * devices.count + d, of our regions and of the peers'.
    var localKeys: [LocalKey] = []
    var remotes: [RemoteRegionEntry] = []
    var remoteKeys: [RemoteKey] = []
    var devices: [OpenDevice]
    let manager: ConnectionManager
    let wakeDescriptor: WakeDescriptor
    /// Always of `sleepDescriptors`.
    var sleepers: SleepSet

    /// Slots whose chains wait to be posted, each once; room for all of them is made in `connect`.
    var heldBack: [Int] = []
    /// Events that did not come from the completion queue, in order.
    var pending: [FabricEvent] = []
    var pollsUntilControlCheck = 0
    /// Some channel was disconnected, and what it delivered before may still be in the queue.
    var hasDisconnections = false
    var isClosed = false
    /// Why each rank's last request was refused; tells a wrong peer from one that is late.
    var refusals: [Int: Mismatch] = [:]

    /// Opens the devices and listens; connects to nobody.
    /// - Throws: `.noDevice`, `.resource` (permission, descriptors), `.deviceFailed`.
    public init(_ configuration: VerbsFabricConfiguration) throws(FabricError) {
        configuration.validate()
        let inventory = try wrapping(.open) { () throws(VerbsError) in try deviceInventory() }
        let choices = try DeviceChoice.choices(
            from: inventory, named: configuration.deviceNames, perRank: configuration.devicesPerRank, localRank: configuration.localRank)
        let backlog = configuration.worldSize * configuration.channelsPerPeer
        (wakeDescriptor, manager, devices) = try wrapping(.open) { () throws(VerbsError) in
            let (waker, manager) = (try WakeDescriptor(), try ConnectionManager())
            var opened: [OpenDevice] = []
            for choice in choices {
                opened.append(try OpenDevice(choice, manager, token: Self.listenerToken(device: opened.count), backlog: backlog))
            }
            return (waker, manager, opened)
        }
        self.configuration = configuration
        sizes = QueueSizes(arrivalDepth: configuration.arrivalDepth, writeDepth: configuration.writeDepth)
        peers = Array(repeating: PeerState(), count: configuration.worldSize)
        deviceName = devices.map(\.name).joined(separator: ",")
        endpoint = Endpoint(devices: devices.map(\.end)).encoded
        let limits = configuration.limits
        writeByteLimit = devices.reduce(min(limits.messageByteLimit, limits.pieces.overlapByteCount)) { min($0, $1.messageByteLimit) }
        sleepers = SleepSet([])
        sleepers = SleepSet(sleepDescriptors)
    }

    /// The connection manager's events carry tokens: channels have their slot + 1, listeners count down from 0.
    static func listenerToken(device: Int) -> Int { -device }

    /// CLOCK_MONOTONIC.
    public func now() -> FabricInstant { FabricInstant(nanoseconds: platform_now()) }

    public func waker() -> Waker {
        let descriptor = wakeDescriptor
        return Waker { descriptor.wake() }
    }
}
