internal import Engine
internal import Fabric
internal import FoundationEssentials
internal import Membership
internal import Synchronization

/// What the job's verdict wakes: engines, and fabrics that connect. The verdict itself is kept by the control plane alone (`RankGroup.status`), before
/// anybody is woken: so whoever comes here and then looks at the status misses nothing.
final class VerdictListeners: Sendable {
    /// Not owned: the engine holds the control plane, which holds this.
    private struct Receiver {
        weak var engine: (any EngineControl)?
    }

    private struct State {
        var receivers: [Receiver] = []
        /// Of the fabrics that are connecting, by number: several, where threads split different communicators.
        var connecting: [Int: Waker] = [:]
        var nextConnecting = 0
    }

    private let state = Mutex(State())

    func hear(_ verdict: Verdict) {
        let (engines, connecting) = state.withLock { ($0.receivers.compactMap(\.engine), $0.connecting.values) }
        for waker in connecting { waker.wake() }
        for engine in engines { engine.deliver(verdict) }
    }

    /// A fabric begins to connect, and is woken when a verdict comes.
    /// - Returns: its number, for `endConnecting`.
    func beginConnecting(_ waker: Waker, _ status: @autoclosure () -> JobStatus) -> Int {
        let number = state.withLock { state in
            state.nextConnecting += 1
            state.connecting[state.nextConnecting] = waker
            return state.nextConnecting
        }
        if case .failed = status() { waker.wake() }
        return number
    }

    func endConnecting(_ number: Int) { state.withLock { $0.connecting[number] = nil } }

    func add(_ engine: any EngineControl, _ status: @autoclosure () -> JobStatus) {
        state.withLock { state in
            state.receivers.removeAll { $0.engine == nil }
            state.receivers.append(Receiver(engine: engine))
        }
        if case .failed(let verdict) = status() { engine.deliver(verdict) }
    }
}
