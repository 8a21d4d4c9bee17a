/// How many elements each rank's block has, where they differ: of an allGather and a reduceScatter the same list on every rank; of an allToAll what
/// this rank sends to each rank, and what it receives from each. A count may be 0.
///
/// Immutable. An operation does not keep its counts alive: its submitter does, until it is reported finished.
public final class BlockCounts: Sendable {
    /// Where each rank's block begins in the input, in their order, then the end; the same of the output. They differ in an allToAll only.
    let input: [Int]
    let output: [Int]
    /// The largest block's count.
    @usableFromInline let largest: Int

    /// - Parameter counts: of each rank's block, none negative.
    public convenience init(_ counts: [Int]) { self.init(sent: counts, received: counts) }

    public init(sent: [Int], received: [Int]) {
        invariant(sent.count == received.count && !sent.contains { $0 < 0 } && !received.contains { $0 < 0 }, "each rank has counts")
        input = Self.starts(sent)
        output = Self.starts(received)
        largest = max(sent.max() ?? 0, received.max() ?? 0)
    }

    private static func starts(_ counts: [Int]) -> [Int] { counts.reduce(into: [0]) { $0.append($0.last! + $1) } }

    var worldSize: Int { input.count - 1 }
}

/// Counts, or none, by their address: a copy of it counts no reference, which would cost small operations a tenth of their time.
@usableFromInline
struct UnownedCounts: Equatable, Sendable {
    @usableFromInline let address: UInt

    // SAFETY: the address is all that is taken.
    @inlinable
    init(_ counts: BlockCounts?) { address = counts.map { unsafe UInt(bitPattern: Unmanaged.passUnretained($0).toOpaque()) } ?? 0 }

    @inline(__always)
    var isNone: Bool { address == 0 }

    @inline(__always)
    var counts: BlockCounts? {
        // SAFETY: the submitter keeps them until the operation's end, and a lane as long as it knows the operation.
        unsafe UnsafeRawPointer(bitPattern: address).map { unsafe Unmanaged<BlockCounts>.fromOpaque($0).takeUnretainedValue() }
    }
}
