/// A fabric that can sleep together with another one: on file descriptors, in one call for both.
///
/// Who waits for two such fabrics calls `flush` and looks at both with `isAwaited`, for as long as it likes; then calls `prepareToSleep` on both, and if both
/// agree sleeps until one of their `sleepDescriptors` is readable, no longer than either's `longestSleepMilliseconds`;
/// and in any case calls `rise` on each that agreed. An event between looking and sleeping makes a descriptor readable: none is lost.
///
/// Threads: as for the fabric itself. Blocking: never.
public protocol DescriptorWaiting: Fabric, ~Copyable {
    /// Readable when there may be something for `poll`, or a waker was used, once `prepareToSleep` has agreed. The fabric's own: not to be
    /// read or closed. Constant once `connect` has returned; -1 stands for none, and no entry at all for a fabric that is not set up so.
    var sleepDescriptors: [Int32] { get }

    /// How long the fabric may be left asleep: what no descriptor tells it, it learns when it rises.
    var longestSleepMilliseconds: UInt64 { get }

    /// Whether `poll` may have something, or a waker was used (said once). As cheap as a `poll` that has nothing.
    mutating func isAwaited() -> Bool

    /// From now on an event makes a descriptor readable.
    /// - Returns: false where there may be something already; nothing is prepared then, and `rise` not due.
    mutating func prepareToSleep() -> Bool

    /// Ends what `prepareToSleep` began, whether anybody slept or not, and hears what the descriptors say.
    mutating func rise()
}
