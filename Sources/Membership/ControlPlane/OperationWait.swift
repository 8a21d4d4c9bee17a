/// A rank's call of an operation of its group that cannot end before another rank comes to it.
package struct OperationWait: Codable, Sendable, Equatable {
    package var group: String
    package var operation: String
    /// Its place among the operations of the group, from 0 on; in which of their orders.
    package var number: UInt64
    package var order: Int
    /// By the job's number.
    package var peer: Int

    package init(group: String, operation: String, number: UInt64, order: Int, peer: Int) {
        (self.group, self.operation, self.number, self.order, self.peer) = (group, operation, number, order, peer)
    }
}
