/// A rank's part in one operation, computed step by step on demand: a few integers, whatever the size of world and buffer.
public enum Schedule: Equatable, Sendable {
    case alone(Alone)
    case ring(Ring)
    case pipeline(Pipeline)
    case direct(Direct)
    case oneShot(OneShot)
    case bruck(Bruck)
    case recursiveDoubling(RecursiveDoubling)
    case tree(Tree)
    case pairwise(Pairwise)
    case swap(Swap)
    case pointToPoint(PointToPoint)
    case compressed(Compressed)
    case tiled(Tiled)
    case halvingDoubling(HalvingDoubling)

    /// - Parameter algorithm: one that `Algorithm.supports` says is possible.
    public init(_ algorithm: Algorithm, _ shape: Shape) {
        if shape.collective.peer != nil {
            self = .pointToPoint(PointToPoint(shape))
        } else if shape.worldSize == 1 {
            self = .alone(Alone(shape))
        } else {
            switch algorithm {
            case .ring:
                switch shape.collective {
                case .broadcast, .reduce: self = .pipeline(Pipeline(shape))
                default: self = .ring(Ring(shape, isHierarchical: false))
                }
            case .hierarchical: self = .ring(Ring(shape, isHierarchical: true))
            case .direct: self = .direct(Direct(shape))
            case .oneShot: self = .oneShot(OneShot(shape))
            case .bruck: self = .bruck(Bruck(shape))
            case .recursiveDoubling: self = .recursiveDoubling(RecursiveDoubling(shape))
            case .tree: self = .tree(Tree(shape))
            case .compressed: self = .compressed(Compressed(shape))
            case .tiled: self = .tiled(Tiled(shape))
            case .halvingDoubling: self = .halvingDoubling(HalvingDoubling(shape))
            case .pairwise: self = shape.swaps ? .swap(Swap(shape)) : .pairwise(Pairwise(shape))
            }
        }
    }

    public var count: Int {
        switch self {
        case .alone(let schedule): schedule.count
        case .ring(let schedule): schedule.count
        case .pipeline(let schedule): schedule.count
        case .direct(let schedule): schedule.count
        case .oneShot(let schedule): schedule.count
        case .bruck(let schedule): schedule.count
        case .recursiveDoubling(let schedule): schedule.count
        case .tree(let schedule): schedule.count
        case .pairwise(let schedule): schedule.count
        case .swap(let schedule): schedule.count
        case .pointToPoint(let schedule): schedule.count
        case .compressed(let schedule): schedule.count
        case .tiled(let schedule): schedule.count
        case .halvingDoubling(let schedule): schedule.count
        }
    }

    public subscript(index: Int) -> Step {
        switch self {
        case .alone(let schedule): schedule[index]
        case .ring(let schedule): schedule[index]
        case .pipeline(let schedule): schedule[index]
        case .direct(let schedule): schedule[index]
        case .oneShot(let schedule): schedule[index]
        case .bruck(let schedule): schedule[index]
        case .recursiveDoubling(let schedule): schedule[index]
        case .tree(let schedule): schedule[index]
        case .pairwise(let schedule): schedule[index]
        case .swap(let schedule): schedule[index]
        case .pointToPoint(let schedule): schedule[index]
        case .compressed(let schedule): schedule[index]
        case .tiled(let schedule): schedule[index]
        case .halvingDoubling(let schedule): schedule[index]
        }
    }
}
