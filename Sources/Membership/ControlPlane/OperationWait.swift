/// A rank's call of an operation of its group that cannot end before another rank comes to it.
struct OperationWait: Codable, Sendable, Equatable {
    var group: String
    var operation: String
    /// Its place among the operations of the group, from 0 on.
    var number: UInt64
    /// By the job's number.
    var peer: Int
}
