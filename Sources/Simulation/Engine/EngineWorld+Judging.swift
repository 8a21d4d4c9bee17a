internal import Collectives
internal import Engine
internal import Fabric
internal import SimulatedFabric

extension EngineWorld {
    /// What is wrong with how the calls of a world that is over have ended.
    func judge() -> String? {
        let dead: Int? = if case .death(let rank) = scenario.fate { rank } else { nil }
        let leaving: Int? = if case .leave(let rank) = scenario.fate { rank } else { nil }
        let verdict = coordinator.failure
        if let verdict {
            guard let culprit = scenario.fate.culprit else { return "a verdict without a cause: \(verdict)" }
            let isStall = scenario.fate == .stall(culprit)
            if verdict.rank != culprit && !isStall || verdict.cause == .disagreed && !isStall {
                return "an innocent is blamed: \(verdict)"
            }
        }
        for outcome in outcomes where outcome.rank != dead {
            let what = "\(outcome.call) of rank \(outcome.rank)"
            if !outcome.isRight { return "\(what): a wrong result" }
            guard let error = outcome.error else { continue }
            if error.cause == .closed {
                guard outcome.mayBeClosed || outcome.rank == leaving else { return "\(what): closed before the rank closes" }
            } else {
                guard let verdict, error.rank == verdict.rank, error.cause == verdict.cause, error.message.contains(verdict.detail) else {
                    return "\(what): \(error), where the verdict is \(verdict.map { "\($0)" } ?? "none")"
                }
            }
        }
        return judgeTransfers() ?? judgeWords() ?? judgeTime() ?? slotsKept()
    }

    /// All operations of a rank that fail with the verdict say it in the same words.
    private func judgeWords() -> String? {
        for rank in 0..<scenario.ranks {
            let ends = outcomes.filter {
                $0.rank == rank && $0.error?.isKnownToAll == true && ($0.call.contains("collective") || $0.call.contains("transfer"))
            }
            let words = Set(ends.map { $0.error!.message })
            if words.count > 1 { return "rank \(rank) has several verdicts: \(words)" }
        }
        return nil
    }

    /// Where nothing has failed, both ends of a transfer have ended alike; one that nobody joins is refused.
    private func judgeTransfers() -> String? {
        guard coordinator.failure == nil, scenario.fate.culprit == nil else { return nil }
        for (index, planned) in scenario.transfers.enumerated() {
            let ends = outcomes.filter { $0.transfer == index }.map { $0.error == nil }
            if planned.isAlone ? ends.contains(true) : Set(ends).count > 1 { return "transfer \(index): its ends have ended as \(ends)" }
            if scenario.fate != .hasty, !planned.isAlone, ends != [true, true] { return "transfer \(index) was not carried out" }
        }
        return nil
    }

    /// Nobody waits for a safety net, nor an orderly close for its bound.
    private func judgeTime() -> String? {
        guard scenario.fate == .none || scenario.fate == .hasty else { return nil }
        let bound: UInt64 = 100_000_000
        return scheduler.clock > bound ? "over after \(scheduler.clock) ns only" : nil
    }

    private func slotsKept() -> String? {
        for engine in engines where engine.underWay > 0 { return "\(engine.underWay) operations were never given back" }
        return nil
    }
}

/// An executor on its way to its engine.
final class ExecutorBox {
    private var executor: Executor<SimulatedFabric>?

    init(_ executor: consuming Executor<SimulatedFabric>) { self.executor = consume executor }

    var descriptor: [UInt8] { executor!.descriptor(of: .receiveBuffers) }

    func attach(_ descriptors: [[UInt8]]) throws(FabricError) { try executor!.attach(.receiveBuffers, descriptors: descriptors) }

    func take() -> Executor<SimulatedFabric> { executor.take()! }
}
