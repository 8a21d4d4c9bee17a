/// One step of a rank's part in a collective. A schedule is a fixed list of them, carried out in order: a pure value.
///
/// The parts of a step, each of which may be missing, in the order in which they are done: wait for the next message of a peer (`receive`),
/// wait until all writes of the operation have completed (`drain`), do something with memory (`action`), write to a peer (`send`).
/// Because steps are taken in order, every element is reduced in an order that the schedule alone decides, so the result has the
/// same bits whatever arrives first.
public struct Step: Equatable, Sendable {
    public var drain = false
    public var receive: Int?
    public var action: Action?
    public var send: Send?
    /// By which of the channels to the peer the message comes or goes, counted from the lane's own. Order holds inside a channel only.
    public var channel: Int
    /// The message says that others have done this rank's share as well: it may come long after the one before it, and whether those still move is
    /// for them to judge first.
    public var isPatient = false

    public init(drain: Bool = false, receive: Int? = nil, action: Action? = nil, send: Send? = nil, channel: Int = 0) {
        self.drain = drain
        self.receive = receive
        self.action = action
        self.send = send
        self.channel = channel
    }
}

/// Where elements begin. Numbers of input and output count elements from where that rank's own input or output begins.
public enum Location: Equatable, Sendable {
    case input(Int)
    case output(Int)
    /// A slot of the landing memory that peers write into after this rank has invited them.
    case gated(slot: Int)
    /// The slot of a rank in the landing memory that peers write into unasked; see `Landing`. `Doubling` numbers them in its own way.
    case eager(rank: Int)
    /// Memory of a rank on this machine, seen through its mapping.
    case peerInput(Int, rank: Int)
    case peerOutput(Int, rank: Int)
}

public enum Action: Equatable, Sendable {
    case copy(from: Location, to: Location, count: Int)
    case fold(Fold)
    /// Copies `count` elements of the own output to the same place of every other output of this machine.
    case spread(start: Int, count: Int)

    /// Elements of each array.
    var count: Int {
        switch self {
        case .copy(_, _, let count), .spread(_, let count): count
        case .fold(let fold): fold.count
        }
    }
}

/// `target = source 1 ∘ source 2 ∘ ...`, in this order.
public struct Fold: Equatable, Sendable {
    public enum Sources: Equatable, Sendable {
        /// A sum so far, then what this rank adds.
        case pair(Location, Location)
        /// The inputs of this machine's ranks in their order, beginning with its `first`-th and going around; before them a sum so far.
        case machine(partial: Location?, start: Int, first: Int)
        /// What every rank wrote into its eager slot, from element `start` of it, in the order of ranks beginning with `first`; this rank's
        /// own part is its input from `inputStart`.
        case eager(first: Int, start: Int, inputStart: Int)
        /// The same, machine by machine, beginning with machine `first`; what this rank adds is its input.
        case eagerMachines(first: Int, start: Int)
        /// This rank's input, then the gated slots `0 ..< slots`.
        case inputAndSlots(start: Int, slots: Int)
    }

    public enum Target: Equatable, Sendable {
        case location(Location)
        /// The outputs of all ranks of this machine.
        case machine(start: Int)
    }

    public var sources: Sources
    public var target: Target
    public var count: Int
    /// Whether every rank's part is in: then an average is divided.
    public var isFinal: Bool
    /// Bit i says that source i, in their order, is the result of a fold that was not final, and no rank's own part; see `Averaging`.
    public var partials: UInt64

    public init(_ sources: Sources, into target: Target, count: Int, isFinal: Bool, partials: UInt64 = 0) {
        self.sources = sources
        self.target = target
        self.count = count
        self.isFinal = isFinal
        self.partials = partials
    }
}

/// A write to a peer. A count of 0 is a signal: only the fact travels.
public struct Send: Equatable, Sendable {
    public enum Target: Equatable, Sendable {
        case gated(slot: Int)
        /// The slot of this rank, or of the one whose data it passes on; of `Doubling` as in `Location`.
        case eager(rank: Int)
        /// Counted from where the peer's own output begins.
        case output(Int)
        /// Tells the sender of a transfer where to write.
        case invitation
        /// Where the peer's invitation said, so many elements further.
        case invited(Int)
    }

    public var peer: Int
    public var source: Location
    public var target: Target
    public var count: Int

    public init(peer: Int, from source: Location, to target: Target, count: Int) {
        self.peer = peer
        self.source = source
        self.target = target
        self.count = count
    }

    /// Whether it reads nothing, or memory that is not the user's.
    var readsOwnMemory: Bool {
        if case .eager = source { return true }
        return count == 0
    }

    /// Says to a peer: I have come so far.
    public static func signal(_ peer: Int) -> Send { Send(peer: peer, from: .input(0), to: .output(0), count: 0) }
}
