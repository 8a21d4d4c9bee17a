internal import Engine
internal import Fabric
internal import Foundation
internal import Membership
internal import Synchronization

/// Carries the job's verdict from the rendezvous to every engine, whichever is there first.
final class VerdictBox: Sendable {
    /// Not owned: the engine holds the rendezvous, which holds the box.
    private struct Receiver {
        weak var engine: (any EngineControl)?
    }

    private struct State {
        var receivers: [Receiver] = []
        var verdict: Verdict?
        /// Of the fabrics that are connecting, by number: several, where threads split different communicators.
        var connecting: [Int: Waker] = [:]
        var nextConnecting = 0
    }

    private let state = Mutex(State())

    func put(_ verdict: Verdict) {
        let (engines, connecting) = state.withLock { state in
            state.verdict = state.verdict ?? verdict
            return (state.receivers.compactMap(\.engine), state.connecting.values)
        }
        for waker in connecting { waker.wake() }
        for engine in engines { engine.deliver(verdict) }
    }

    /// The job's verdict, once there is one.
    var current: Verdict? { state.withLock { $0.verdict } }

    /// A fabric begins to connect, and is woken when a verdict comes.
    /// - Returns: its number, for `endConnecting`.
    func beginConnecting(_ waker: Waker) -> Int {
        let (number, verdict) = state.withLock { state in
            state.nextConnecting += 1
            state.connecting[state.nextConnecting] = waker
            return (state.nextConnecting, state.verdict)
        }
        if verdict != nil { waker.wake() }
        return number
    }

    func endConnecting(_ number: Int) { state.withLock { $0.connecting[number] = nil } }

    func connect(to engine: any EngineControl) {
        let verdict = state.withLock { state in
            state.receivers.removeAll { $0.engine == nil }
            state.receivers.append(Receiver(engine: engine))
            return state.verdict
        }
        if let verdict { engine.deliver(verdict) }
    }
}
