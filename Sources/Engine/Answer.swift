internal import Fabric
internal import Synchronization

/// One value that a thread waits for and another gives.
final class Answer<R: Sendable>: Sendable {
    private let value = Mutex<Result<R, FabricError>?>(nil)
    private let isThere: Semaphore

    init(_ host: any EngineHost) { isThere = Semaphore(host) }

    func give(_ result: Result<R, FabricError>) {
        value.withLock { $0 = result }
        isThere.signal()
    }

    func take() throws(FabricError) -> R {
        isThere.wait()  // Bounded: an owner answers every call that was taken, and none is taken once the engine stops.
        return try value.withLock { $0! }.get()
    }
}
