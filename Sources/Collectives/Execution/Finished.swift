/// How an operation ended.
public struct Finished: Sendable, BitwiseCopyable {
    /// What `submit` answered.
    public var ticket: UInt64
    /// Where not, the result is in the output, and the buffers are the caller's again. Why is the executor's `failure`, the same for all.
    public var isFailed: Bool
}
