package import Membership

/// What an engine needs of its ranks' membership of the job.
package protocol ControlPlane: Sendable {
    /// Of the group; empty for all ranks of the job.
    var name: String { get }
    /// The members' ranks in the job, in the order of the group's own.
    var jobRanks: [Int] { get }
    /// This process's number in the group.
    var rank: Int { get }
    /// See `RankGroup.agree`: bounded.
    func agree(on own: Verdict, isConclusion: Bool) -> Verdict
    /// See `RankGroup.reportWaiting`: does not block.
    func reportWaiting(in operation: String, number: UInt64, order: Int, for peer: Int)
    /// What was going on, for messages. Inside it ranks have the group's numbers, so it says whose these are.
    func naming(_ operation: String) -> String
}

extension RankGroup: ControlPlane {}
