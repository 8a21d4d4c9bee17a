/// An operation that was submitted and has no lane yet.
struct Waiting {
    var operation: Operation
    var number: Int
    /// When the caller asked for it, where it wants a record.
    var submitted: UInt64?
}
