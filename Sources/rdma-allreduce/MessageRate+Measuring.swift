import Foundation
import Verbena

extension MessageRate {
    /// Operations under way together: enough that the engine never runs out of work.
    private static let window = 16
    private static let seconds = 0.5

    /// Streams of asynchronous one-shot allreduces of one 8-byte element, each of which every rank writes to every other one. Collective.
    static func measured(_ communicator: Communicator) throws -> MessageRate {
        var buffers: [Buffer<Int64>] = []
        for _ in 0..<window { buffers.append(try communicator.allocate(count: 1)) }
        func batch() throws {
            let pending = try buffers.map { try communicator.start(.allReduce, $0, count: 1, .maximum, algorithm: .oneShot) }
            for operation in pending { try operation.wait() }
        }
        let clock = ContinuousClock()
        try batch()
        let trial = try clock.measure { for _ in 0..<10 { try batch() } } / .seconds(1) / 10
        let slowest = TimeOf.slowest.combine(try communicator.gathered(trial, label: "message rate"))
        let batches = max(10, min(1_000_000, Int(seconds / max(1e-9, slowest))))
        try communicator.barrier()
        let coreStart = processorSeconds()
        let passed = try clock.measure { for _ in 0..<batches { try batch() } } / .seconds(1)
        let all = try communicator.gathered([passed, processorSeconds() - coreStart], label: "message rate")
        return MessageRate(
            operations: batches * window, worldSize: communicator.worldSize, window: window,
            seconds: TimeOf.average.combine(all.map { $0[0] }), coreSeconds: TimeOf.average.combine(all.map { $0[1] }))
    }

    /// What all threads of this process have used.
    private static func processorSeconds() -> Double {
        var time = timespec()
        // SAFETY: the pointer to the local is used during the call only.
        unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
