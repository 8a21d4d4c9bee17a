public enum Action: Equatable, Sendable {
    case copy(from: Location, to: Location, count: Int)
    case fold(Fold)
    /// Copies `count` elements to one place of all outputs of this node, but for one rank's.
    case spread(from: Location, start: Int, except: Int?, count: Int)

    /// Encodes this rank's elements of a window, and what its residual adds, to byte `to` of the lane's gated slots; see `Compressed`.
    case encode(StripeWindow, to: Int)
    /// Decodes what has come for a window, from byte `from` of the lane's gated slots, into the output.
    case decode(StripeWindow, from: Int)
    case addUp(EncodedSum)

    /// Elements of each array.
    var count: Int {
        switch self {
        case .copy(_, _, let count), .spread(_, _, _, let count): count
        case .fold(let fold): fold.count
        case .encode(let window, _), .decode(let window, _): window.count
        case .addUp(let sum): sum.window.count
        }
    }
}
