import NIOCore

extension Rendezvous {
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
    /// - Throws: `.payloadTooLarge` (nothing was sent), `.labelMismatch`, `.peerLeft`, `.timedOut`, `.closed`, `.verdict`, and
    ///   whatever else has ended the job before.
    public func allGather(_ payload: [UInt8], label: String, timeoutSeconds: Double) throws(RendezvousError) -> [[UInt8]] {
        try gather(payload, among: nil, group: "", label: label, timeoutSeconds: timeoutSeconds)
    }

    /// The same among some ranks, in their order; all of them give the same members and the same name of the group.
    func gather(
        _ payload: [UInt8], among members: [Int]?, group: String, label: String, timeoutSeconds: Double, collectivesBegun: UInt64? = nil
    ) throws(RendezvousError) -> [[UInt8]] {
        let label = oneLine(label, byteLimit: RendezvousBounds.labelByteLimit)
        let timeoutSeconds = ContinuousClock.Instant.bounded(timeoutSeconds)
        guard payload.count <= RendezvousBounds.payloadByteLimit else {
            throw RendezvousError(
                .payloadTooLarge,
                "rank \(rank) gives \(payload.count) bytes to gather \"\(label)\"; the limit is \(RendezvousBounds.payloadByteLimit)",
                remedy: "gather in parts, or send bulk data through the fabric")
        }
        let gather = try beginGather(label, group: group)
        let count = members?.count ?? worldSize
        if count == 1 { return [payload] }
        send(
            Envelope(
                .contribute(
                    gather: gather, members: members, label: label, timeoutSeconds: timeoutSeconds, collectivesBegun: collectivesBegun),
                payload: ByteBuffer(bytes: payload)))
        let deadline = ContinuousClock.Instant.after(seconds: timeoutSeconds + RendezvousBounds.graceSeconds)
        let outcome = state.wait(until: deadline) { state -> Result<[[UInt8]], RendezvousError>? in
            if let parts = state.takeGather(gather, count: count) { return .success(parts) }
            if let failure = state.failure { return .failure(failure) }
            return state.isLeaving ? .failure(.closed(label)) : nil
        }
        switch outcome {
        case .success(let parts): return parts
        case .failure(let error): throw error
        case nil: throw giveUp(label, timeoutSeconds: timeoutSeconds)
        }
    }

    /// Returns once every rank has called it with this label; else throws as `allGather` does.
    public func barrier(label: String, timeoutSeconds: Double) throws(RendezvousError) {
        _ = try allGather([], label: label, timeoutSeconds: timeoutSeconds)
    }

    private func beginGather(_ label: String, group: String) throws(RendezvousError) -> GatherID {
        let begun = state.update { state -> Result<GatherID, RendezvousError> in
            if let failure = state.failure { return .failure(failure) }
            if state.isLeaving { return .failure(.closed(label)) }
            return .success(state.beginGather(group: group))
        }
        return try begun.get()
    }

    /// The coordinator should have decided long ago; it hears of it as of any failure.
    private func giveUp(_ label: String, timeoutSeconds: Double) -> RendezvousError {
        let error = RendezvousError(
            .timedOut, rank: rank, during: "gather \"\(label)\"",
            "gather \"\(label)\" did not end within \(seconds(timeoutSeconds))", remedy: "see the logs of all ranks, or allow more time")
        if let verdict = error.verdict { report(verdict) }
        return error
    }
}

extension RendezvousError {
    fileprivate static func closed(_ label: String) -> RendezvousError {
        RendezvousError(
            .closed, "gather \"\(label)\" was called after this rank had taken leave", remedy: "call leave() last")
    }
}
