/// How an operation ended.
public struct Finished: Sendable, BitwiseCopyable {
    /// What the caller of `submit` called it.
    public var number: Int
    /// Where not, the result is in the output, and the buffers are the caller's again. Why is the executor's `failure`, the same for all.
    public var isFailed: Bool
    /// Nil where `submit` was given no time.
    public var record: OperationRecord?
}
