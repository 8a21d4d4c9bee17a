public import Fabric
import Verbs

/// Sleeping together with another fabric, step by step as `wait` does it alone.
extension VerbsFabric: DescriptorWaiting {
    /// The waker's, then those of `checkControl`, then those of the completion queue, one of each device.
    public var sleepDescriptors: [Int32] {
        [wakeDescriptor.descriptor, manager.descriptor] + devices.map(\.context.asyncDescriptor) + (completions?.descriptors ?? [])
    }

    /// Sleeps until something is to be heard, hears it, and leaves it to `poll`.
    mutating func sleep(until deadline: FabricInstant) {
        sleepers.wait(nanoseconds: deadline.since(now()))
        let control = 1..<2 + devices.count
        if sleepers.isReadable(0..<1) { wakeDescriptor.drain() }
        if sleepers.isReadable(control) { checkControl() }
        if sleepers.isReadable(control.upperBound..<control.upperBound + devices.count) { completions?.drainEvents() }
    }

    /// A descriptor tells everything.
    public var longestSleepMilliseconds: UInt64 { UInt64(Int32.max) }

    public mutating func flush() { postHeldBack() }

    public mutating func isAwaited() -> Bool { hasSomething() }

    public mutating func prepareToSleep() -> Bool {
        guard !hasSomething() else { return false }
        do throws(VerbsError) {
            try completions?.arm()
        } catch {
            failAllPeers(FabricError(error, during: .receive))
            return false
        }
        return !hasSomething()
    }

    public mutating func rise() {
        completions?.drainEvents()
        checkControl()
        wakeDescriptor.drain()
    }
}
