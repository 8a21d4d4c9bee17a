extension Rendezvous {
    /// Tells the coordinator of a failure that this rank saw. The first verdict of all ranks wins.
    ///
    /// Does not block. What all have agreed on comes by `onVerdict` and `agreedVerdict`, and may be another: another
    /// rank's, or the coordinator's own.
    public func report(_ verdict: Verdict) {
        if isAlone {
            fail(RendezvousError(verdict: verdict))
        } else {
            send(Envelope(.report(verdict)))
        }
    }

    /// The verdict that every rank holds, as soon as it is here.
    ///
    /// Where the coordinator itself is lost, it is this rank's own verdict on the coordinator's process.
    /// - Parameter waitingAtMostMilliseconds: 0 only asks.
    /// - Returns: nil where nothing has ended the job within that time.
    public func agreedVerdict(waitingAtMostMilliseconds: Int) -> Verdict? {
        state.wait(until: .after(seconds: Double(waitingAtMostMilliseconds) / 1000)) { $0.failure?.verdict }
    }

    /// Ends the job because of this rank: it could not read its data, say. Waits at most 2 s until all are agreed.
    ///
    /// - Parameters:
    ///   - reason: what went wrong, as the others shall read it.
    ///   - operation: what this rank was at.
    /// - Returns: the verdict that all ranks hold: this one, unless another came first.
    @discardableResult
    public func abort(reason: String, operation: String, remedy: String = "") -> Verdict {
        let own = Verdict(rank: rank, cause: reason, operation: operation, remedy: remedy)
        report(own)
        return agreedVerdict(waitingAtMostMilliseconds: Int(RendezvousBounds.farewellTimeoutSeconds * 1000)) ?? own
    }
}
