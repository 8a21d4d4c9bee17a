public import Fabric
import Glibc
import Verbs

// Sendable without the compiler's proof: a value of this type is the only holder of everything in it (no copy can be made, nothing
// inside is handed out but the waker, which is Sendable), libibverbs binds nothing to a thread, and what does not mutate only reads.
/// The contract of a fabric on reliable connected queue pairs, set up by rdma_cm.
///
/// Each rank listens on the address of its device. Of two ranks the lower connects and the higher accepts, once for every channel; both
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
    /// InfiniBand Architecture Specification, 9.7.2: no message is longer.
    static let messageByteLimit = 1 << 31
    /// One attempt at resolving an address. Where the neighbour is not known yet, the kernel looks for its answer only when the
    /// attempt's time is over (seen on 6.12: the first connection took exactly this long). So it is short, and repeated.
    static let resolveAttemptMilliseconds = 200
    /// The token of the listener; channels have their slot + 1.
    static let listenerToken = 0

    let configuration: VerbsFabricConfiguration
    let sizes: QueueSizes
    public let name = "verbs"
    public let deviceName: String
    public let endpoint: [UInt8]
    public var rank: Int { configuration.rank }
    public var worldSize: Int { configuration.worldSize }
    public var channelsPerPeer: Int { configuration.channelsPerPeer }
    public var writeDepth: Int { configuration.writeDepth }
    public var arrivalDepth: Int { configuration.arrivalDepth }

    // Destroyed in this order: queue pairs first, then what they use. References would allow any order but for the regions:
    // no queue pair may be left that could reach them.
    var channels: [ChannelState] = []
    var peers: [PeerState]
    var completions: CompletionQueue?
    /// Slot s completes on part s / channelsPerQueue of the queue.
    var channelsPerQueue = 1
    var regionOwners: [MemoryRegion?] = []
    var regions: [LocalRegionEntry] = []
    var remotes: [RemoteRegionEntry] = []
    let domain: ProtectionDomain
    let listener: Listener
    let manager: ConnectionManager
    /// A context of our own for the events of device and ports: those of librdmacm's go to every fabric of the process.
    let monitor: DeviceContext
    let wakeDescriptor: WakeDescriptor

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

    /// Opens the device and listens; connects to nobody.
    /// - Throws: `.noDevice`, `.resource` (permission, descriptors), `.deviceFailed`.
    public init(_ configuration: VerbsFabricConfiguration) throws(FabricError) {
        configuration.validate()
        let opened = try OpenedDevice(configuration)
        self.configuration = configuration
        sizes = QueueSizes(arrivalDepth: configuration.arrivalDepth, writeDepth: configuration.writeDepth)
        peers = Array(repeating: PeerState(), count: configuration.worldSize)
        deviceName = opened.domain.device.name
        endpoint = Endpoint(opened.listener.address).encoded
        (wakeDescriptor, monitor, manager) = (opened.wakeDescriptor, opened.monitor, opened.manager)
        (listener, domain) = (opened.listener, opened.domain)
    }

    /// CLOCK_MONOTONIC.
    public func now() -> FabricInstant {
        var time = timespec()
        // SAFETY: the local is written during the call only.
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return FabricInstant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    public func waker() -> Waker {
        let descriptor = wakeDescriptor
        return Waker { descriptor.wake() }
    }
}

/// Everything of a fabric's start that can fail.
private struct OpenedDevice {
    let wakeDescriptor: WakeDescriptor
    let monitor: DeviceContext
    let manager: ConnectionManager
    let listener: Listener
    let domain: ProtectionDomain

    init(_ configuration: VerbsFabricConfiguration) throws(FabricError) {
        let inventory = try wrapping(.open) { () throws(VerbsError) in try deviceInventory() }
        let choice = try DeviceChoice(from: inventory, named: configuration.deviceName, localRank: configuration.localRank)
        do throws(VerbsError) {
            wakeDescriptor = try WakeDescriptor()
            monitor = try DeviceContext(opening: choice.deviceName)
            manager = try ConnectionManager()
            let backlog = configuration.worldSize * configuration.channelsPerPeer
            listener = try Listener(manager, on: choice.address, token: VerbsFabric.listenerToken, backlog: backlog)
            let device = listener.device()
            guard device.name == choice.deviceName else {
                throw VerbsError(
                    .noDevice, call: "rdma_bind_addr", errno: 0,
                    detail: "address \(choice.address) of \(choice.deviceName) leads to \(device.name)",
                    remedy: "give each device an address of its own")
            }
            domain = try ProtectionDomain(on: device)
        } catch {
            throw FabricError(error, during: .open)
        }
    }
}
