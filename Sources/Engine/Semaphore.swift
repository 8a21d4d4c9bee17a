internal import Synchronization

/// A counting semaphore on the host's sleep.
// Sendable without the compiler's proof: the word is an atomic at a fixed address.
// SAFETY (whole file): the word lives as long as this object, which every thread that sleeps on it holds.
@safe
final class Semaphore: @unchecked Sendable {
    private let host: any EngineHost
    private let count: UnsafeMutablePointer<Atomic<UInt32>>
    /// How long a thread sleeps before it looks again.
    private static var sleepNanoseconds: UInt64 { 1_000_000_000 }

    init(_ host: any EngineHost) {
        self.host = host
        unsafe count = .allocate(capacity: 1)
        unsafe count.initialize(to: Atomic(0))
    }

    deinit { unsafe count.deallocate() }

    func signal() {
        unsafe count.pointee.add(1, ordering: .releasing)
        unsafe host.wake(UnsafePointer<UInt32>(OpaquePointer(count)))
    }

    /// Waits until a signal is there that nobody else has taken. The caller says what bounds it.
    func wait() {
        while true {
            let value = unsafe count.pointee.load(ordering: .relaxed)
            if value == 0 {
                unsafe host.sleep(on: UnsafePointer<UInt32>(OpaquePointer(count)), while: 0, nanoseconds: Self.sleepNanoseconds)
            } else if unsafe count.pointee.compareExchange(expected: value, desired: value - 1, ordering: .acquiring).exchanged {
                return
            }
        }
    }
}
