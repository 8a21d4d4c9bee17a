extension ControlPlaneClient {
    /// Tells the coordinator of a failure that this rank saw. The first verdict of all ranks wins.
    ///
    /// Does not block. What all have agreed on comes by `onVerdict` and `agreedVerdict`, and may be another: another
    /// rank's, or the coordinator's own.
    func report(_ verdict: Verdict) { tell(.report(verdict), of: verdict) }

    private func tell(_ message: Message, of verdict: Verdict) {
        if isAlone {
            fail(verdict)
        } else {
            send(Envelope(message))
        }
    }

    /// The verdict that every rank holds, as soon as it is here.
    ///
    /// Where the coordinator itself is lost, it is this rank's own verdict on the coordinator's process.
    /// - Parameter waitingAtMostMilliseconds: 0 only asks.
    /// - Returns: nil where nothing has ended the job within that time.
    func agreedVerdict(waitingAtMostMilliseconds: Int) -> Verdict? {
        state.wait(until: .after(seconds: Double(waitingAtMostMilliseconds) / 1000)) { state -> Verdict?? in
            switch state.status {
            case .running: nil
            case .failed(let verdict): verdict
            case .closed: .some(nil)
            }
        } ?? nil
    }

    /// Tells all ranks of a failure that this one saw, and waits until all are agreed: at most 2 s, or 4 s with a conclusion.
    ///
    /// - Parameter isConclusion: `own` only concludes from a torn connection that a process has ended. Its connection to the coordinator ends with
    ///   it, a little sooner or later; that verdict is certain, so the coordinator waits for it.
    /// - Returns: the verdict that all ranks hold; `own` where none came in time.
    public func agree(on own: Verdict, isConclusion: Bool = false) -> Verdict {
        tell(isConclusion ? .conclude(own) : .report(own), of: own)
        let patience = RendezvousBounds.agreementSeconds + (isConclusion ? RendezvousBounds.certaintySeconds : 0)
        return agreedVerdict(waitingAtMostMilliseconds: Int(patience * 1000)) ?? own
    }

    /// Ends the job because of this rank: it could not read its data, say. See `agree`.
    ///
    /// - Parameters:
    ///   - reason: what went wrong, as the others shall read it.
    ///   - operation: what this rank was at.
    @discardableResult
    public func abort(_ cause: FailureCause = .aborted, reason: String, operation: String, remedy: String = "") -> Verdict {
        agree(on: Verdict(rank: rank, cause: cause, reason, during: operation, remedy: remedy))
    }
}
