public import Reduction

/// A piece of memory that all ranks made known to each other, by its number: the same on every rank.
public struct SharedBuffer: Sendable, Hashable {
    public let index: Int
}

/// An allreduce in place: afterwards `buffer[offset ..< offset + count]` holds the reduction over all ranks, on every rank.
public struct Allreduce: Sendable, Equatable {
    public var buffer: SharedBuffer
    /// In bytes, a multiple of the element's size.
    public var byteOffset: Int
    /// In elements.
    public var count: Int
    public var type: ElementType
    public var operation: ReductionOperation

    public init(buffer: SharedBuffer, byteOffset: Int = 0, count: Int, type: ElementType, operation: ReductionOperation) {
        self.buffer = buffer
        self.byteOffset = byteOffset
        self.count = count
        self.type = type
        self.operation = operation
    }

    /// All that ranks must agree on, with the place in the order, as a hash (FNV-1a; the low bits travel).
    func signature(sequence: UInt64) -> UInt32 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for value in [buffer.index, byteOffset, count, Int(type.rawValue), Int(operation.rawValue), Int(truncatingIfNeeded: sequence)] {
            hash = (hash ^ UInt64(truncatingIfNeeded: value)) &* 0x100_0000_01b3
            hash ^= hash >> 29
        }
        return UInt32(truncatingIfNeeded: hash ^ hash >> 32)
    }

    func name(sequence: UInt64) -> String { "allreduce #\(sequence) (\(operation) of \(count) \(type))" }
}

/// How an operation ended.
public struct Finished: Sendable {
    /// What `submit` answered.
    public var sequence: UInt64
    /// Nil: the result is in the buffer, and the buffer is the caller's again.
    public var error: CollectiveError?
}
