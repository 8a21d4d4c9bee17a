internal import Fabric
internal import Reduction

/// One of the executor's tracks: at most one operation under way.
///
/// Each stream has lanes of its own (`Stream.lanes`), which its collectives take in turn: the next on the same lane comes as many places later. Transfers
/// between two ranks have a lane of their own for each peer and direction.
struct Lane {
    /// The number of the operation that runs here, or that will be the next to, in the order that all its ranks share.
    var sequence: UInt64
    /// How far its successor on this lane is.
    let stride: UInt64
    /// The first of the channels to each peer that carry this lane, and how many there are.
    let channel: Int
    let channels: Int
    /// The links of peers follow from here, each with one for every channel. A transfer's lane has one link only.
    let firstLink: Int
    /// The position of the one peer of a transfer's lane, -1 for collectives.
    let onlyPeer: Int
    let kind: Immediate.Kind

    var phase = Phase.idle
    /// The present one, or the last.
    var operation: Operation
    /// Kept, so that their address is nobody else's as long as `operation` and `programKey` know it.
    var counts: BlockCounts?
    /// What its caller calls it, and when it came to its stages, where the caller asked for that.
    var number = 0
    var isRecorded = false
    var schedule: Schedule
    var stepCount = 0
    /// The steps of a short schedule, worked out once and kept for the next operation of the same kind; empty for a long one.
    var program: [Step] = []
    var programKey: ProgramKey?
    /// The moves that stand for the program, for one set of eager positions and then for the other; or that of the present step alone.
    var moves: FixedArray<Move>
    /// The first step that is not done, and the first of its parts that is not.
    var step = 0
    var part = Part.move
    /// How many moves are kept for each of the two eager sets: then steps begin with the message. 0: each step begins with making its move.
    var keptMoves = 0
    var signature: UInt32 = 0
    /// Which set of eager positions the operation uses, if it does; they are used in turn.
    var usesEager = false
    var eagerSet = 0
    /// Whether all this was worked out for `operation`.
    var isPrepared = false
    var operationHash: UInt64 = 0
    /// Links whose last write has not completed.
    var incomplete = 0
    /// Whether the operation may end before its writes have completed: all they read is the node's own memory.
    var endsBeforeWrites = false
    /// Whether actions store past the caches.
    var isStreaming = false
    /// In bytes: where this rank's own input and output begin in their buffers.
    var inputOffset = 0
    var outputOffset = 0
    /// Steps done by this lane, ever; and how many there were when `checkStall` last saw it move, and when that was.
    var progress: UInt64 = 0
    var seenProgress: UInt64 = .max
    var seenAt = FabricInstant(nanoseconds: 0)

    init(
        sequence: UInt64, stride: UInt64, channel: Int, channels: Int, firstLink: Int, onlyPeer: Int, kind: Immediate.Kind,
        idle: Schedule,
        filler: Move
    ) {
        self.sequence = sequence
        self.stride = stride
        self.channel = channel
        self.channels = channels
        self.firstLink = firstLink
        self.onlyPeer = onlyPeer
        self.kind = kind
        operation = Operation(.barrier, input: Place(SharedBuffer(index: 0)), count: 0, type: .float32)
        schedule = idle
        moves = FixedArray([filler])
    }

    /// What holds an operation up besides its messages.
    enum Phase: UInt8 {
        /// There is none.
        case idle
        /// The operation before has left writes under way: this one begins when they have completed. What they read is changed by the next but one
        /// at the earliest, because the eager positions are used in turn; but a link counts the writes of one operation only.
        case behindPrevious
        case running
        /// It goes on when its writes are with the fabric, though no event comes.
        case behindOutbox

        /// Asked of the phase and not of the lane: a lane would be copied whole for it.
        var isActive: Bool { self != .idle }
    }

    /// The parts of a step, in order. The write is the last one.
    enum Part: UInt8 {
        /// To be resolved into a `Move`.
        case move
        case message
        case action
        case write

        /// Whether the step has yet to take its message, if it has one.
        var isBeforeMessage: Bool { self == .move || self == .message }
    }

    /// What a schedule depends on, besides what an executor never changes.
    struct ProgramKey: Equatable {
        var extents: Extents
        var stripes: Stripes
        var type: ElementType
        var wire: WireFormat
        var algorithm: Algorithm
    }

    /// Schedules of up to so many steps are kept.
    static let maxProgramSteps = 256
    /// Moves of programs of up to so many steps are kept, too.
    static let maxKeptMoves = 64

    /// Works the steps out, without those in which there is nothing to do; a wait is joined with what follows it.
    mutating func setProgram(_ key: ProgramKey) {
        programKey = key
        program.removeAll(keepingCapacity: true)
        guard stepCount <= Self.maxProgramSteps else { return }
        for index in 0..<stepCount {
            let step = schedule[index]
            if step == Step() { continue }
            if let last = program.last, last.channel == step.channel, last.action == nil, last.send == nil,
                last.receive == nil || step.receive == nil
            {
                program[program.count - 1] = Step(
                    drain: last.drain || step.drain, receive: last.receive ?? step.receive, action: step.action, send: step.send,
                    channel: step.channel)
                program[program.count - 1].isPatient = last.isPatient || step.isPatient
            } else {
                program.append(step)
            }
        }
        stepCount = program.count
    }

    /// Step `index` of the operation.
    func step(at index: Int) -> Step { program.isEmpty ? schedule[index] : program[index] }

    /// The link to a peer by one of the fabric's channels.
    func link(_ position: Int, channel: Int) -> Int { onlyPeer < 0 ? firstLink + position * channels + channel : firstLink }

    /// The operation is over; the next one may come.
    mutating func turn() {
        phase = .idle
        step = 0
        if usesEager { eagerSet ^= 1 }
        sequence += stride
    }
}
