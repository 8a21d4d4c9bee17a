import Collectives
import Fabric
import Foundation
import SharedMemoryFabric

/// Ranks that one thread drives in turn, each with one buffer.
// SAFETY: the executors are allocated and initialised by `init` and freed by `deinit`; at a fixed place, as in the engine, so that reaching one costs
// nothing that would be measured.
@safe
final class World {
    private static let rounds = 101
    private static let calls = 20_000

    private let executors: UnsafeMutableBufferPointer<Executor<SharedMemoryFabric>>
    private let buffer: SharedBuffer
    private let count: Int

    /// A fabric until its executor takes it.
    private final class Box {
        var fabric: SharedMemoryFabric?

        init(_ fabric: consuming SharedMemoryFabric) { self.fabric = consume fabric }
    }

    init(ranks count: Int) throws {
        self.count = count
        let settings = ExecutorSettings(topology: .oneNode(worldSize: count))
        var endpoints: [Int: [UInt8]] = [:]
        let boxes = try (0..<count).map { rank in
            var configuration = SharedMemoryConfiguration(rank: rank, worldSize: count, arrivalDepth: settings.arrivalDepth, jobKey: [])
            configuration.reportsCompletions = false
            let fabric = try SharedMemoryFabric(configuration)
            endpoints[rank] = fabric.endpoint
            return Box(fabric)
        }
        for (rank, box) in boxes.enumerated() {
            try box.fabric!.connect(to: endpoints.filter { $0.key != rank }, deadline: .distantFuture)
        }
        unsafe executors = .allocate(capacity: count)
        for (rank, box) in boxes.enumerated() {
            unsafe executors.initializeElement(at: rank, to: try Executor(fabric: box.fabric.take()!, settings: settings))
        }
        var added: [SharedBuffer] = []
        for rank in 0..<count { added.append(unsafe try executors[rank].addBuffer(byteCount: 4096).0) }
        buffer = added[0]
        for buffer in [.receiveBuffers, buffer] {
            let descriptors = (0..<count).map { unsafe executors[$0].descriptor(of: buffer) }
            for rank in 0..<count { unsafe try executors[rank].attach(buffer, descriptors: descriptors) }
        }
    }

    deinit {
        unsafe executors.deinitialize()
        unsafe executors.deallocate()
    }

    func report(_ name: String, _ collective: Collective, byteCount: Int, _ algorithm: Algorithm? = nil, dividedBy parts: Int = 1) throws {
        let operation = Operation(collective, input: Place(buffer), count: byteCount / 4, type: .float32, algorithm: algorithm)
        try run(operation)
        var samples = try (0..<Self.rounds).map { _ in
            let start = ContinuousClock.now
            try run(operation)
            return (ContinuousClock.now - start) / .nanoseconds(1) / Double(Self.calls * count * parts)
        }
        samples.sort()
        print(
            "  " + name.padding(toLength: 40, withPad: " ", startingAt: 0),
            String(format: "%8.1f ns least %8.1f ns median", samples[0], samples[samples.count / 2]))
    }

    private func run(_ operation: Collectives.Operation) throws {
        for _ in 0..<Self.calls {
            for rank in 0..<count { unsafe try executors[rank].submit(operation) }
            var unfinished = count
            while unfinished > 0 {
                for rank in 0..<count {
                    _ = unsafe executors[rank].progress()
                    while unsafe executors[rank].takeFinished() != nil { unfinished -= 1 }
                }
            }
        }
    }
}
