import Foundation
import Synchronization
import Testing

/// That the sanitizers find what they are there for, in code that is built and run as the other tests are: each fault is planted in a
/// process of its own, which the sanitizer is to end.
@Suite struct PlantedFaultTests {
    @Test(.enabled(if: Sanitizer.isThread, "no thread sanitizer"))
    func raceBesideARelaxedStoreIsFound() async {
        await #expect(processExitsWith: .exitCode(Sanitizer.exitCode)) { Planted().publish(.relaxed) }
    }

    /// The same in order: what is found above is the relaxed store and nothing else.
    @Test(.enabled(if: Sanitizer.isThread, "no thread sanitizer"))
    func releaseOrdersWhatRelaxedDoesNot() async {
        await #expect(processExitsWith: .success) { Planted().publish(.releasing) }
    }

    /// A Mutex orders those who take it, those who have to wait for it included (tools/test.d/tsan-mutex.c), and nobody else.
    @Test(.enabled(if: Sanitizer.isThread, "no thread sanitizer"))
    func raceBesideAMutexIsFound() async {
        await #expect(processExitsWith: .exitCode(Sanitizer.exitCode)) { Planted().count(everybodyLocks: false) }
    }

    @Test(.enabled(if: Sanitizer.isThread, "no thread sanitizer"))
    func mutexOrdersWhoTakesIt() async {
        await #expect(processExitsWith: .success) { Planted().count(everybodyLocks: true) }
    }

    @Test(.enabled(if: Sanitizer.isAddress, "no address sanitizer"))
    func useAfterFreeIsFound() async {
        await #expect(processExitsWith: .exitCode(Sanitizer.exitCode)) { Planted.readAfterFree() }
    }

    @Test(.enabled(if: Sanitizer.isAddress, "no address sanitizer"))
    func overrunIsFound() async {
        await #expect(processExitsWith: .exitCode(Sanitizer.exitCode)) { Planted.writeBehindTheEnd() }
    }
}

private enum Sanitizer {
    /// What tools/test.d/sanitized asks both sanitizers to end a process with.
    static let exitCode: CInt = 66
    static let isThread = has("__tsan_init")
    static let isAddress = has("__asan_init")

    // SAFETY: the name is a literal; nothing is called through what is found.
    private static func has(_ symbol: String) -> Bool { unsafe dlsym(nil, symbol) != nil }
}

// Sendable without the compiler's proof: there is none, this is the fault.
private final class Planted: @unchecked Sendable {
    private var number = 0
    private let isThere = Atomic<Bool>(false)
    private let guardian = Mutex(())

    enum Order { case relaxed, releasing }

    /// One thread writes a number and says so, the other reads it when it is said.
    func publish(_ order: Order) {
        together(
            { planted in
                planted.number = 1
                switch order {
                case .relaxed: planted.isThere.store(true, ordering: .relaxed)
                case .releasing: planted.isThere.store(true, ordering: .releasing)
                }
            },
            { planted in
                while !planted.isThere.load(ordering: .acquiring) { sched_yield() }
                planted.number += 1
            })
    }

    /// Two threads count, in turns that a Mutex gives them.
    func count(everybodyLocks: Bool) {
        let rounds = 10_000
        together(
            { planted in for _ in 0..<rounds { planted.guardian.withLock { _ in planted.number += 1 } } },
            { planted in
                for _ in 0..<rounds {
                    if everybodyLocks { planted.guardian.withLock { _ in planted.number += 1 } } else { planted.number += 1 }
                }
            })
    }

    private func together(_ bodies: (@Sendable (Planted) -> Void)...) {
        let ended = DispatchSemaphore(value: 0)
        for body in bodies {
            Thread.detachNewThread {
                body(self)
                ended.signal()
            }
        }
        for _ in bodies { ended.wait() }
    }

    static func readAfterFree() {
        // SAFETY: none, this is the fault.
        let memory = UnsafeMutablePointer<Int>.allocate(capacity: 4)
        unsafe memory.initialize(repeating: 1, count: 4)
        unsafe memory.deallocate()
        unsafe print(memory[2])
    }

    static func writeBehindTheEnd() {
        // SAFETY: none, this is the fault.
        let memory = UnsafeMutablePointer<Int>.allocate(capacity: 4)
        // One by one, since the standard library's loops have no sanitizer in them.
        for index in 0...4 { unsafe memory[index] = 1 }
        unsafe print(memory[0])
        unsafe memory.deallocate()
    }
}
