public import Engine
internal import FoundationEssentials
public import Membership
internal import Synchronization

/// A group of ranks that exchange data: joining it is all the set-up that there is.
///
/// Collective calls must be made by every rank in the same order with the same arguments; one thread at a time. Transfers between two ranks may go on
/// on other threads, one for each peer and direction. When a rank dies or
/// the ranks disagree, every call on every rank throws the same verdict within seconds, and nothing more can be exchanged.
///
///     let communicator = try Communicator.join(Configuration())
///     let buffer = try communicator.allocate(Float.self, count: 1 << 20)
///     try communicator.allReduce(buffer, .sum)
///     try communicator.close()
///
/// `split` makes further communicators of it. Errors and verdicts name ranks by their numbers in the job, those of `join`; where a message speaks of
/// an operation in a smaller communicator, it says which of them these are.
public final class Communicator: Sendable {
    /// The program's version: all ranks run the same.
    public static let version = "0.1.0"
    /// How long one rank may wait for the others in the control calls of this type.
    static let gatherTimeoutSeconds: Double = 600
    /// How long the coordinator's process waits for the others to take leave.
    static let leaveTimeoutSeconds: Double = 5

    /// This process's number in this communicator, and how many ranks that has.
    public let rank: Int
    public let worldSize: Int
    /// This rank's number among those on its machine, and how many there are.
    public let localRank: Int
    public let localWorldSize: Int

    /// The communicator that `split` made this one of, which stays open as long as this one is used; nil for that of all ranks.
    public let parent: Communicator?

    let group: RankGroup
    let job: JobFacts
    /// What every operation goes through.
    let runner: RunningEngine
    var engine: any EngineControl { runner.control }
    let core: CommunicatorCore
    /// Of all communicators of this process, from 1 on: what buffers know this one by.
    let number: UInt32
    private static let numbers = Atomic<UInt32>(0)
    /// Nil where there are no operations on it.
    let wholeMemory: PooledMemory?
    /// How often `split` was called: part of the children's names.
    let splits = Atomic(0)

    init(
        group: RankGroup, job: JobFacts, membership: JobMembership?, parent: Communicator?, engine: RunningEngine, plan: FabricPlan
    ) throws(VerbenaError) {
        number = Self.numbers.add(1, ordering: .relaxed).newValue
        rank = group.rank
        worldSize = group.worldSize
        self.group = group
        self.job = job
        self.parent = parent
        runner = engine
        let memory = job.pool.wholeProcess()
        wholeMemory = try memory.attachWhole(to: engine.control, of: number) ? memory : nil
        core = CommunicatorCore(group: group, membership: membership, engine: engine.control)
        localRank = plan.localRank
        localWorldSize = plan.localWorldSize
    }

    deinit {
        // Dropped without `close`: to the peers it looks as if the process had ended. A child stays open until its parent goes.
        if parent == nil { core.drop() }
    }

    /// What carries the data: `shm` or `verbs`.
    public var fabricName: String { engine.fabricName }
    /// The device that carries it: `rxe0`, `mlx5_0`, `memory`.
    public var deviceName: String { engine.deviceName }

    /// What has become of the job: it runs, it has failed (which rank, why, during what), or this communicator is closed. A verdict that is known stays
    /// after the end. Any thread; does not wait, and does not call the engine.
    public var status: JobStatus {
        let status = group.status
        return status == .running && core.isClosed ? .closed : status
    }

    // MARK: control

    /// Gives every rank the payloads of all, in the order of ranks; for small things (at most 16 MiB), over TCP. Collective.
    public func allGather(_ payload: [UInt8], label: String) throws(VerbenaError) -> [[UInt8]] {
        try core.allGather(payload, label: label)
    }

    /// Returns once every rank has called it, and may be waited for long. Over TCP; `barrier()` is the fast one. Collective.
    public func barrier(label: String) throws(VerbenaError) { _ = try allGather([], label: label) }

    /// Ends the job, every communicator of it, for all ranks because of this one; they are told why. Use it when this rank cannot go on.
    public func abort(reason: String) {
        group.abort(reason: reason, operation: "the program of rank \(group.jobRanks[rank])")
        core.shutDown(orderly: false)
    }

    /// Takes leave when every rank has come here: nothing that anybody still needs is taken away. With the communicator of all ranks all buffers end. So do the
    /// communicators that `split` made of it: those still open are closed first, in the order of their making. Operations that were started are
    /// completed before; a `Request` is good afterwards. A transfer whose other end was not begun ends with `.closed`, and so does what another thread
    /// begins from here on; what it began before is completed, too. Collective. A second call does nothing.
    /// - Throws: the verdict, when an operation or a rank is lost, or ranks have made different calls; the communicator is closed all the same.
    public func close() throws(VerbenaError) { try core.close() }

    /// Goes without waiting for anybody: after an error. Operations that are under way end with `.closed`. The others are told by the verdict
    /// that there is, or see a rank that is gone.
    public func leave() { core.shutDown(orderly: false) }
}
