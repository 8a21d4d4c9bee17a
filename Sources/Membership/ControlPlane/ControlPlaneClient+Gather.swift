extension ControlPlaneClient {
    /// Gives every rank the payloads of all, in the order of ranks.
    ///
    /// The payloads may differ in size. All ranks must call with the same label; one that calls with another, takes leave,
    /// or does not come in time, ends the job for all with an error that names it.
    ///
    /// - Parameters:
    ///   - payload: at most `RendezvousBounds.payloadByteLimit` (16 MiB).
    ///   - label: what this gather is for, such as "layout"; cut at 128 bytes. It is what errors call it.
    ///   - timeoutSeconds: how long the rank that comes first waits for the last. Each rank gives up by itself 60 s later
    ///     than its own timeout.
    /// - Throws: `.configuration` where the payload is too large (nothing was sent), `.closed` after `leave`, else the verdict.
    public func allGather(_ payload: [UInt8], label: String, timeoutSeconds: Double) throws(RendezvousError) -> [[UInt8]] {
        try gather(payload, among: nil, group: "", label: label, timeoutSeconds: timeoutSeconds)
    }

    /// The same among some ranks, in their order; all of them give the same members and the same name of the group.
    func gather(
        _ payload: [UInt8], among members: [Int]?, group: String, label: String, timeoutSeconds: Double, collectivesBegun: [UInt64]? = nil
    ) throws(RendezvousError) -> [[UInt8]] {
        let label = oneLine(label, byteLimit: RendezvousBounds.labelByteLimit)
        let timeoutSeconds = ContinuousClock.Instant.bounded(timeoutSeconds)
        guard payload.count <= RendezvousBounds.payloadByteLimit else {
            throw RendezvousError(
                .configuration,
                "rank \(rank) gives \(payload.count) bytes to gather \"\(label)\"; the limit is \(RendezvousBounds.payloadByteLimit)",
                remedy: "gather in parts, or send bulk data through the fabric")
        }
        let gather = try state.update { state in
            Result { () throws(RendezvousError) in try state.beginGather(label, group: group) }
        }.get()
        let count = members?.count ?? worldSize
        if count == 1 { return [payload] }
        send(
            Envelope(
                .contribute(
                    gather: gather, members: members, label: label, timeoutSeconds: timeoutSeconds, collectivesBegun: collectivesBegun),
                payload: payload))
        let patience = state.update { $0.patienceSeconds(timeoutSeconds: timeoutSeconds) }
        switch state.wait(until: .after(seconds: patience), { $0.outcome(of: gather, count: count, label: label) }) {
        case .success(let parts): return parts
        case .failure(let error): throw error
        case nil: throw giveUp(label, timeoutSeconds: timeoutSeconds)
        }
    }

    /// Returns once every rank has called it with this label; else throws as `allGather` does.
    public func barrier(label: String, timeoutSeconds: Double) throws(RendezvousError) {
        _ = try allGather([], label: label, timeoutSeconds: timeoutSeconds)
    }

    /// The coordinator hears of it as of any failure.
    private func giveUp(_ label: String, timeoutSeconds: Double) -> RendezvousError {
        let verdict = state.update { $0.givesUp(label, timeoutSeconds: timeoutSeconds) }
        report(verdict)
        return RendezvousError(verdict)
    }
}
