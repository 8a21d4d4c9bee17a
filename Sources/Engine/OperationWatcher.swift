/// What the engine calls when an operation has ended.
package final class OperationWatcher: Sendable {
    /// Called by the thread that drives the engine, so it must be short. May come early: look whether the operation has ended.
    let ended: @Sendable () -> Void

    package init(_ ended: @escaping @Sendable () -> Void) { self.ended = ended }
}
