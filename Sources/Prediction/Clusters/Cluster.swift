internal import Collectives
internal import Foundation

/// The machines and the network between them. A pure value; all nodes are alike but for the slow ones.
public struct Cluster: Sendable, Equatable, Encodable {
    public var name: String
    /// Nodes that there are; 0 for as many as are asked for.
    public var nodes = 0
    public var ranksPerNode = 1
    public var nicsPerNode = 1
    /// Of each direction of a NIC's cable, in GB/s; and of a message from NIC to NIC, in microseconds.
    public var nicGigabytesPerSecond = 12.5
    public var latencyMicroseconds = 2.0
    /// Added to each message's latency, uniformly from 0 on.
    public var latencyJitterMicroseconds = 0.0
    /// Between ranks of one node.
    public var memoryGigabytesPerSecond = 16.0
    public var memoryLatencyMicroseconds = 0.2
    /// Bytes of one array that a rank adds to another.
    public var reduceGigabytesPerSecond = 20.0
    /// The engine's own time for each message that it posts or takes.
    public var messageMicroseconds = 0.2
    /// Nodes under each leaf switch, and what of their sum the uplink lacks; 0: one switch that never blocks.
    public var nodesPerLeaf = 0
    public var oversubscription = 1.0
    /// By which part computing varies, where that is not the profile's to say.
    public var computeSpread: Double?
    /// So many nodes compute so much slower.
    public var slowNodes = 0
    public var slowFactor = 1.0
    /// Of all steps, this share fails and is done again, after so many seconds.
    public var failingSteps = 0.0
    public var recoverySeconds = 0.0
    /// Receive buffers of a rank; see `ExecutorSettings`.
    public var receiveBufferMegabytes = 64
    /// Where each figure comes from, by its name: `published: ...` or `assumed: ...`.
    public var notes: [String: String] = [:]

    public init(name: String) { self.name = name }
}

extension Cluster {
    /// As `rdma-allreduce --save-costs` has measured it. A message's latency has all that the engine does for it.
    /// - Parameter costs: the file's bytes.
    public init(name: String, costs bytes: [UInt8], place: String) throws {
        guard let costs = try? JSONDecoder().decode(Costs.self, from: Data(bytes)), costs.isPlausible else {
            throw PredictionError("\(place): no table of costs; give a file that `rdma-allreduce --save-costs` wrote")
        }
        self.init(name: name)
        (latencyMicroseconds, nicGigabytesPerSecond) = (costs.far.latency, 1e-3 / costs.far.perByte)
        (memoryLatencyMicroseconds, memoryGigabytesPerSecond) = (costs.near.latency, 1e-3 / costs.near.perByte)
        (reduceGigabytesPerSecond, messageMicroseconds) = (1e-3 / costs.reducePerByte, 0)
        for field in [
            "latencyMicroseconds", "nicGigabytesPerSecond", "memoryLatencyMicroseconds", "memoryGigabytesPerSecond",
            "reduceGigabytesPerSecond",
        ] { notes[field] = "measured: rdma-allreduce --save-costs" }
        notes["messageMicroseconds"] = "measured: in the latencies"
    }
}
