/// A chunk of memory that all ranks made known to each other, by its number: the same on every rank.
public struct SharedBuffer: Sendable, Hashable {
    public let index: Int

    @inlinable
    public init(index: Int) { self.index = index }

    /// The memory that peers write into unless they write into a user's buffer: every executor's first.
    public static let receiveBuffers = SharedBuffer(index: 0)
}
