public enum Action: Equatable, Sendable {
    case copy(from: Location, to: Location, count: Int)
    case fold(Fold)
    /// Copies `count` elements of the own output to the same place of every other output of this node.
    case spread(start: Int, count: Int)

    /// Elements of each array.
    var count: Int {
        switch self {
        case .copy(_, _, let count), .spread(_, let count): count
        case .fold(let fold): fold.count
        }
    }
}
