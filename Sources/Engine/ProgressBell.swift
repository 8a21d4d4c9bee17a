internal import Synchronization

/// What the progress thread sleeps on. Ringing costs a system call only while it sleeps.
// Sendable without the compiler's proof: both words are atomics at fixed addresses.
// SAFETY: the words live as long as this object.
@safe
final class ProgressBell: @unchecked Sendable {
    private let words: UnsafeMutablePointer<Atomic<UInt32>>

    private let host: any EngineHost

    init(_ host: any EngineHost) {
        self.host = host
        unsafe words = .allocate(capacity: 2)
        for index in 0..<2 { unsafe (words + index).initialize(to: Atomic(0)) }
    }

    deinit { unsafe words.deallocate() }

    var count: UInt32 { unsafe words[0].load(ordering: .sequentiallyConsistent) }

    func ring() {
        unsafe words[0].add(1, ordering: .sequentiallyConsistent)
        if unsafe words[1].load(ordering: .sequentiallyConsistent) != 0 {
            unsafe host.wake(UnsafePointer<UInt32>(OpaquePointer(words)))
        }
    }

    func wait(seen: UInt32, milliseconds: UInt64) {
        unsafe words[1].store(1, ordering: .sequentiallyConsistent)
        if count == seen {
            unsafe host.sleep(on: UnsafePointer<UInt32>(OpaquePointer(words)), while: seen, nanoseconds: milliseconds * 1_000_000)
        }
        unsafe words[1].store(0, ordering: .relaxed)
    }
}
