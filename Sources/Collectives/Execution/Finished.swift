/// How an operation ended.
public struct Finished: Sendable, BitwiseCopyable {
    /// What the caller of `submit` called it.
    public var number: Int
    /// Where not, the result is in the output, and the buffers are the caller's again. Why is the executor's `failure`, the same for all.
    public var isFailed: Bool
    /// Nil where `submit` was given no time.
    public var record: OperationRecord?

    @inlinable
    init(number: Int, isFailed: Bool, record: OperationRecord?) {
        self.number = number
        self.isFailed = isFailed
        self.record = record
    }
}

/// The same without the record, small enough for two registers: most operations have none.
@usableFromInline
struct Ending: BitwiseCopyable {
    @usableFromInline var number: Int
    @usableFromInline var isFailed: Bool
    @usableFromInline var isRecorded: Bool
}
