internal import Collectives
internal import Fabric
internal import Membership
internal import Synchronization

/// How operations and the engine end: a failure becomes the one verdict of all ranks, and every waiter gets its word.
extension ProgressEngine where F: ~Copyable {
    package func finishAll(_ exchange: ([UInt8]) throws(VerbenaError) -> [[UInt8]]) throws(VerbenaError) {
        let own = try perform(andClose: true) { (executor) throws(FabricError) in executor.submitted.bytes }
        let all = try exchange(own).map { Submitted(bytes: $0) ?? Submitted() }
        for stream in Stream.allCases {
            if let other = all.firstIndex(where: { $0[stream] != all[0][stream] }) { throw differs(all, other, stream) }
        }
        let isKept = isMutated(.unmatchedKept)
        try perform { (executor) throws(FabricError) in if !isKept { executor.endUnmatched(all) } }
        drained.wait()  // Bounded: every operation ends within the stall limit, and the engine's end is told, too.
        if let verdict = verdict.withLock({ $0 }) { throw verdict }
    }

    /// All ranks see it, and say the same; the first word is the verdict, before anybody leaves.
    func differs(_ submitted: [Submitted], _ other: Int, _ stream: Stream) -> VerbenaError {
        let operation = group.naming("close")
        let collectives = stream == .bulk ? "collectives" : "\(stream) collectives"
        let verdict = Verdict(
            rank: group.jobRanks[other], cause: .disagreed,
            "it has begun \(submitted[other][stream]) \(collectives), rank \(group.jobRanks[0]) \(submitted[0][stream])",
            during: operation, remedy: "let every rank make the same calls before it closes")
        return VerbenaError(group.agree(on: verdict, isConclusion: false), during: operation)
    }

    /// Why an operation has failed.
    var reason: VerbenaError { verdict.withLock { $0 } ?? .communicatorClosed }

    package func stop(orderly: Bool, because reason: VerbenaError?) {
        // The caller may know the verdict before it has come here.
        if let reason, reason.isKnownToAll, !isMutated(.unreasonedStop) { verdict.withLock { $0 = $0 ?? reason } }
        host.point()
        let isFirst = inbox.withLock { inbox in
            defer { inbox.stop = inbox.stop ?? orderly }
            return inbox.stop == nil
        }
        guard isFirst else { return }
        notify()
        ended.wait()  // Bounded: owners leave their loops at the next wake-up, and the fabric is closed with a deadline.
    }

    /// Tells the waiters what has ended. A failure is agreed on with the other ranks first.
    func report(_ owned: inout Owned) {
        if owned.executor.hasFailed, let failure = owned.executor.failure { settle(failure) }
        while owned.executor.hasFinished, let finished = owned.executor.takeFinished() {
            if finished.number == Self.ownNumber {
                owned.ownEnd = finished.isFailed ? .failed : .done
            } else {
                host.point()
                slots.end(finished.number, failed: finished.isFailed, finished.record)
                guard isMutated(.endedTwice) else { continue }
                host.point()
                slots.end(finished.number, failed: finished.isFailed, finished.record)
            }
        }
    }

    /// Closing is no verdict: nothing is told to the others, and what is still in flight here ends for this rank alone.
    func end(_ owned: inout Owned) {
        verdict.withLock { $0 = $0 ?? .communicatorClosed }
        owned.executor.fail(CollectiveError(.verdict, peer: nil, operation: "close", detail: "the communicator was closed"))
        report(&owned)
    }

    func end(_ owned: inout Owned, with agreed: Verdict) {
        let operation = group.naming(owned.executor.currentOperation)
        verdict.withLock {
            $0 = isMutated(.secondVerdict) ? VerbenaError(agreed, during: operation) : $0 ?? VerbenaError(agreed, during: operation)
        }
        owned.executor.fail(
            CollectiveError(.verdict, peer: agreed.rank, operation: operation, detail: agreed.detail, remedy: agreed.remedy))
    }

    /// Makes a failure that this rank saw into the verdict that all ranks hold. Waits for that, bounded, once.
    func settle(_ failure: CollectiveError) {
        guard verdict.withLock({ $0 == nil }) else { return }
        let operation = group.naming(failure.operation)
        let culprit = group.jobRanks[failure.peer ?? group.rank]
        let own = Verdict(
            rank: culprit, cause: FailureCause(failure.cause), failure.detail, during: operation, remedy: failure.remedy)
        let agreed = isMutated(.lonelyVerdict) ? own : group.agree(on: own, isConclusion: failure.cause == .fabric(.peerDied))
        verdict.withLock { $0 = $0 ?? VerbenaError(agreed, during: operation) }
    }
}
