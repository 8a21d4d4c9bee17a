/// The division of a wait by cause.
///
/// The first line that fits a moment is its cause; docs/ARCHITECTURE.md has the reasons:
/// 1. the operation has ended: `release`;
/// 2. it was not asked for yet: `ownGradient`;
/// 3. another rank had not asked for it: `latePeer`;
/// 4. the engine was on the way: `core`, `reduction` and `wire`, of which only the lengths are known, in this order.
extension StepLedger {
    func division(of wait: Interval, for index: Int, runDelay: UInt64) -> ExposedTime {
        let entry = entries[index]
        let bucket = entry.report
        // An operation that has not ended has no other times than that of its submission.
        let ended = entry.hasEnded ? bucket.ended : .max
        let asked = min(max(wait.from, bucket.submitted), wait.to)
        let done = min(max(asked, ended), wait.to)
        // Never after the first moment at which the operation could not have been without the peer: a clock's error must not hide what happened.
        let peer = min(entry.lastPeer?.submitted ?? 0, bucket.lastArrival)
        let began = min(max(asked, peer), done)
        let busy = done - began
        let core = min(busy, max(runDelay, entry.hasEnded ? idle(from: began, to: min(done, max(began, bucket.started)), index) : 0))
        // The part of the engine's work that falls into the wait, as far as that can be known: it had none before the peer came.
        let worked = max(bucket.started, min(peer, ended))
        let share = Double(done - min(done, max(began, worked))) / Double(max(1, ended - worked))
        let reduction = min(busy - core, UInt64(Double(entry.work) * min(1, share)))
        return ExposedTime(
            ownGradient: seconds(asked - wait.from), latePeer: seconds(began - asked), wire: seconds(busy - core - reduction),
            reduction: seconds(reduction), core: seconds(core), release: seconds(wait.to - done))
    }

    /// How long in this time, in which the operation could have started, no other was under way that had started before: the engine's driver did not run.
    private func idle(from: UInt64, to: UInt64, _ index: Int) -> UInt64 {
        guard to > from else { return 0 }
        var idle: UInt64 = 0
        var covered = from
        for (other, entry) in entries.enumerated() where other != index {
            let ended = entry.hasEnded ? entry.report.ended : entry.report.submitted
            guard ended > covered, entry.report.started < to else { continue }
            idle += max(covered, entry.report.started) - covered
            covered = min(to, ended)
        }
        return idle + to - covered
    }
}
