public enum Action: Equatable, Sendable {
    case copy(from: Location, to: Location, count: Int)
    case fold(Fold)
    /// Copies `count` elements of the own output to the same place of every other output of this node.
    case spread(start: Int, count: Int)

    /// Encodes this rank's elements of a window, and what its residual adds, to byte `to` of the lane's gated slots; see `Compressed`.
    case encode(StripeWindow, to: Int)
    /// Decodes what has come for a window, from byte `from` of the lane's gated slots, into the output.
    case decode(StripeWindow, from: Int)
    case addUp(EncodedSum)

    /// Elements of each array.
    var count: Int {
        switch self {
        case .copy(_, _, let count), .spread(_, let count): count
        case .fold(let fold): fold.count
        case .encode(let window, _), .decode(let window, _): window.count
        case .addUp(let sum): sum.window.count
        }
    }
}
