internal import CKernels

/// What one fold does towards an average over many ranks.
///
/// *Why parts are scaled.* The sum of numbers whose average fits may not fit itself. So each rank's part is divided by a power of two where
/// it enters, the first that is at least the number of ranks, or one more (below), and the end divides by what is left. Powers of two are
/// exact: the bits are those of sum and division, except
/// - where that sum would overflow: there the average is right;
/// - near zero: of numbers below the smallest normal one, times that power of two, a part or a partial sum may be rounded to a multiple of
///   the least subnormal number. So each rounding costs the average at most one such unit (2^-24) of `half`, or two (2^-148) of `float`.
///
/// A `half` is scaled by the first such power, `float`, `double` and `bfloat16` by the next: their sums are computed in the range in which
/// they are stored, and need room for roundings. Roundings never make an average of finite numbers infinite: it stays at the largest finite one.
///
/// Integers are not scaled: their sum wraps, and is divided in the end.
public struct Averaging: Sendable, Equatable, BitwiseCopyable {
    /// Ranks that the average is over; of 0 or 1 it is a sum.
    public var ranks: Int
    /// Bit i says that source i is the result of a fold that was not final. The others are ranks' own parts; so are sources beyond the 64th.
    public var partials: UInt64
    /// Whether every rank's part is in.
    public var isFinal: Bool

    public init(ranks: Int, partials: UInt64 = 0, isFinal: Bool) {
        self.ranks = ranks
        self.partials = partials
        self.isFinal = isFinal
    }

    /// For other operations, which ask for none.
    public static let none = Averaging(ranks: 1, isFinal: true)

    var forKernels: KernelAveraging { KernelAveraging(ranks: max(0, ranks), partials: partials, is_final: isFinal) }
}
