import Fabric
import Verbs

/// One of this rank's devices, open and listening.
struct OpenDevice {
    let name: String
    /// On a context of our own: librdmacm's is the whole process's, and so are its events.
    let domain: ProtectionDomain
    /// Where peers find it, one for each address; theirs are the sources of the connections that start here.
    let listeners: [Listener]
    /// Which peers are reached from each without a router.
    let subnets: [Subnet]
    /// How much one packet carried when it was opened, in bytes.
    let activeMTU: Int
    /// What a message may be long.
    let messageByteLimit: Int
    /// The last change that it told of and that may have consequences.
    var notice: String?

    var context: DeviceContext { domain.device }

    /// - Parameters:
    ///   - token: the listeners'.
    ///   - backlog: requests that may wait to be looked at.
    init(_ choice: DeviceChoice, _ manager: ConnectionManager, token: Int, backlog: Int) throws(VerbsError) {
        name = choice.deviceName
        messageByteLimit = choice.messageByteLimit
        domain = try ProtectionDomain(on: DeviceContext(opening: choice.deviceName))
        var listeners: [Listener] = []
        for address in choice.addresses {
            let listener = try Listener(manager, on: address, token: token, backlog: backlog)
            guard listener.deviceName == choice.deviceName else {
                throw VerbsError(
                    .noDevice, call: "rdma_bind_addr", errno: 0,
                    detail: "address \(address) of \(choice.deviceName) leads to \(listener.deviceName)",
                    remedy: "give each device an address of its own")
            }
            listeners.append(listener)
        }
        self.listeners = listeners
        subnets = choice.addresses.map { subnet(of: $0) ?? Subnet(address: $0, prefixLength: 8 * $0.bytes.count) }
        activeMTU = try domain.device.activeMTU(port: listeners[0].portNumber) ?? RouteEnd.minMTU
    }

    var portNumber: Int { listeners[0].portNumber }

    /// What peers are told of it.
    var end: RouteEnd {
        RouteEnd(mtu: activeMTU, places: zip(listeners, subnets).map { .init(address: $0.address, prefixLength: $1.prefixLength) })
    }

    /// A failure that the device told of.
    struct Failure {
        var error: FabricError
        /// Of the queue pair that it is about; nil where nothing of the device can be used any more.
        var queuePair: UInt32?
    }

    /// The next failure that it has told of since the last question. Never blocks.
    mutating func failure(during operation: FabricError.Operation) -> Failure? {
        while let event = context.nextEvent() {
            switch event {
            case .deviceFailed: return Failure(error: FabricError(.deviceFailed, during: operation, detail: "device \(name) failed"))
            case .portFailed(let port) where port == portNumber:
                return Failure(
                    error: FabricError(
                        .deviceFailed, during: operation, detail: "port \(port) of device \(name) went down",
                        remedy: VerbsError.remedy(for: .portInactive)))
            case .completionQueueFailed:
                return Failure(
                    error: FabricError(
                        .deviceFailed, during: operation,
                        detail: "a completion queue of device \(name) overflowed or broke: completions are lost",
                        remedy: "report it with the job's options: the queue is made for all that can complete"))
            case .queuePairFailed(let number):
                return Failure(
                    error: FabricError(
                        .deviceFailed, during: operation, detail: "device \(name) says that a queue pair failed (QP \(number))"),
                    queuePair: number)
            case .accessRefused(let number): return Failure(error: refusedAccess(during: operation), queuePair: number)
            case .portChanged(let port, let change) where port == portNumber: notice = change
            case .portFailed, .portChanged, .other: continue
            }
        }
        return nil
    }

    /// A peer has asked for memory that this rank does not offer. Peers write where this rank has invited them, inside regions whose bounds
    /// they know: so it is this rank that has taken one back too early, and the peer is innocent.
    func refusedAccess(during operation: FabricError.Operation) -> FabricError {
        FabricError(
            .outOfBounds, during: operation,
            detail: "a peer wrote into memory that this rank does not offer, or offers no more, and device \(name) refused it",
            remedy: "release a region only when no peer writes into it any more")
    }

    /// What it said of its port, for the verdict on a connection that broke; empty where it said nothing.
    var noticeText: String { notice.map { "; device \(name) had told of a \($0)" } ?? "" }
}
