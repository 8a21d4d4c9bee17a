public import Fabric
import Verbs

/// Sleeping together with another fabric, step by step as `wait` does it alone.
extension VerbsFabric: DescriptorWaiting {
    public var sleepDescriptors: [Int32] {
        [completions?.descriptor ?? -1, manager.descriptor, monitor.asyncDescriptor, wakeDescriptor.descriptor]
    }

    /// Everything is told by a descriptor.
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
