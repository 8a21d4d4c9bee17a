/// An operation that was submitted and has no lane yet.
struct Waiting {
    var operation: Operation
    var number: Int
    var record: OperationRecord?
}
