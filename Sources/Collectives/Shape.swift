/// Everything that a schedule is computed from: the operation, who takes part, and the sizes that memory and queues allow. The same on every
/// rank but for `rank`.
public struct Shape: Equatable, Sendable {
    public var rank: Int
    public var topology: Topology
    public var collective: Collective
    public var count: Int
    public var isInPlace: Bool
    /// What a gated slot takes, in elements; at least 1.
    public var pieceElements: Int
    /// A smaller piece is not worth a message of its own.
    public var leastPieceElements: Int
    /// Pieces of a segment that travel together, at most.
    public var mostPieces: Int
    /// Gated slots of one lane.
    public var gatedSlots: Int
    /// Channels to each peer.
    public var channels: Int
    /// The most elements of one write.
    public var messageElements: Int
    /// Messages of a rank that another may have unread, where their number grows with the buffer; at least 2.
    public var mostUnread = ExecutorSettings.mostUnread

    public var worldSize: Int { topology.worldSize }

    /// Writes of `count` elements: one, unless it is longer than a message may be.
    var messages: Int { max(1, (count + messageElements - 1) / messageElements) }

    /// Copies the own part of a collective from input to output, where it is not there already.
    func copyOwn(from: Int, to: Int) -> Action? {
        isInPlace || count == 0 ? nil : .copy(from: .input(from), to: .output(to), count: count)
    }
}

/// A rank's part in one operation, computed step by step on demand: a few integers, whatever the size of world and buffer.
public enum Schedule: Equatable, Sendable {
    case alone(Alone)
    case ring(Ring)
    case chain(Chain)
    case direct(Direct)
    case oneShot(OneShot)
    case logarithmic(Logarithmic)
    case doubling(Doubling)
    case tree(Tree)
    case pairwise(Pairwise)
    case transfer(Transfer)

    /// - Parameter algorithm: one that `Algorithm.supports` says is possible.
    public init(_ algorithm: Algorithm, _ shape: Shape) {
        if shape.collective.peer != nil {
            self = .transfer(Transfer(shape))
        } else if shape.worldSize == 1 {
            self = .alone(Alone(shape))
        } else {
            switch algorithm {
            case .ring:
                switch shape.collective {
                case .broadcast, .reduce: self = .chain(Chain(shape))
                default: self = .ring(Ring(shape, isHierarchical: false))
                }
            case .hierarchical: self = .ring(Ring(shape, isHierarchical: true))
            case .direct: self = .direct(Direct(shape))
            case .oneShot: self = .oneShot(OneShot(shape))
            case .logarithmic: self = .logarithmic(Logarithmic(shape))
            case .doubling: self = .doubling(Doubling(shape))
            case .tree: self = .tree(Tree(shape))
            case .pairwise: self = .pairwise(Pairwise(shape))
            }
        }
    }

    public var count: Int {
        switch self {
        case .alone(let schedule): schedule.count
        case .ring(let schedule): schedule.count
        case .chain(let schedule): schedule.count
        case .direct(let schedule): schedule.count
        case .oneShot(let schedule): schedule.count
        case .logarithmic(let schedule): schedule.count
        case .doubling(let schedule): schedule.count
        case .tree(let schedule): schedule.count
        case .pairwise(let schedule): schedule.count
        case .transfer(let schedule): schedule.count
        }
    }

    public subscript(index: Int) -> Step {
        switch self {
        case .alone(let schedule): schedule[index]
        case .ring(let schedule): schedule[index]
        case .chain(let schedule): schedule[index]
        case .direct(let schedule): schedule[index]
        case .oneShot(let schedule): schedule[index]
        case .logarithmic(let schedule): schedule[index]
        case .doubling(let schedule): schedule[index]
        case .tree(let schedule): schedule[index]
        case .pairwise(let schedule): schedule[index]
        case .transfer(let schedule): schedule[index]
        }
    }
}

/// A world of one: the result is the rank's own part.
public struct Alone: Equatable, Sendable {
    let shape: Shape

    init(_ shape: Shape) { self.shape = shape }

    public var count: Int { shape.collective == .barrier || shape.copyOwn(from: 0, to: 0) == nil ? 0 : 1 }

    public subscript(index: Int) -> Step { Step(action: shape.copyOwn(from: 0, to: 0)) }
}
