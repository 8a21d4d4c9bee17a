internal import Engine
internal import Synchronization

/// Where an operation's results go when it has ended: a staged buffer of any type.
protocol StagedOutput: AnyObject, Sendable {
    func stageOut(_ range: Range<Int>) throws(VerbenaError)
}

/// The engine's copy of memory of the caller's: usable until the communicator takes it with it, and never after.
final class StagingMemory: Sendable {
    /// As a number; 0 when it has gone.
    private let address: Mutex<UInt>

    /// - Parameter base: stays until `end`.
    @unsafe
    init(_ base: UnsafeMutableRawPointer) { address = Mutex(UInt(bitPattern: base)) }

    /// Lends the memory. Several threads may want it for different parts: they take turns, for `end` must wait for all.
    func use(_ body: (UnsafeMutableRawPointer) -> Void) throws(VerbenaError) {
        try address.withLock { (address) throws(VerbenaError) in
            // SAFETY: whoever frees the memory calls `end` first, which waits for this lock.
            guard let base = unsafe UnsafeMutableRawPointer(bitPattern: address) else { throw .communicatorClosed }
            unsafe body(base)
        }
    }

    /// Waits for copies that are under way. From here on the memory may go.
    func end() { address.withLock { $0 = 0 } }
}
