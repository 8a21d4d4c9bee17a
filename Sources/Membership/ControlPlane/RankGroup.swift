/// Some ranks of a job under numbers of their own, 0 and up: whom a communicator gathers with.
///
/// A group needs no setting up: its members derive it alike, from the same list and name. It shares the job's connection, and the verdict that
/// ends the job ends every group of it.
public struct RankGroup: Sendable, CustomStringConvertible {
    /// Unlike that of every other group of the job; empty for the group of all ranks.
    public let name: String
    /// The members' ranks in the job, in the order of the group's own.
    public let jobRanks: [Int]
    /// This process's number in the group.
    public let rank: Int
    private let client: ControlPlaneClient

    /// All ranks of the job, under the job's own numbers.
    public init(all client: ControlPlaneClient) {
        self.client = client
        name = ""
        jobRanks = Array(0..<client.worldSize)
        rank = client.rank
    }

    private init(_ client: ControlPlaneClient, name: String, jobRanks: [Int], rank: Int) {
        self.client = client
        self.name = name
        self.jobRanks = jobRanks
        self.rank = rank
    }

    /// - Parameters:
    ///   - members: by this group's numbers, in the order of their new ones, each once.
    ///   - name: unlike that of every other group made of this one.
    /// - Returns: nil where this rank is no member.
    public func subgroup(of members: [Int], name: String) -> RankGroup? {
        guard let rank = members.firstIndex(of: self.rank) else { return nil }
        return RankGroup(
            client, name: self.name.isEmpty ? name : "\(self.name)/\(name)", jobRanks: members.map { jobRanks[$0] }, rank: rank)
    }

    public var worldSize: Int { jobRanks.count }
    public var isWholeJob: Bool { name.isEmpty }

    /// `group 1.0 of ranks 3, 1`: the members by the job's numbers, in the group's order.
    public var description: String {
        if isWholeJob { return "all ranks" }
        let shown = jobRanks.prefix(8).map(String.init).joined(separator: ", ")
        let hidden = jobRanks.count > 8 ? " and \(jobRanks.count - 8) more" : ""
        return "group \(name) of \(jobRanks.count == 1 ? "rank" : "ranks") \(shown)\(hidden)"
    }

    /// See `ControlPlaneClient.allGather`; among the members, in their order. Gathers of different groups do not mix, whatever their labels.
    /// - Parameter collectivesBegun: how many operations of the group this rank has begun, of each of their orders, where its calls of these and of
    ///   gathers come from one thread at a time; see `reportWaiting`.
    public func allGather(
        _ payload: [UInt8], label: String, timeoutSeconds: Double, collectivesBegun: [UInt64]? = nil
    ) throws(RendezvousError) -> [[UInt8]] {
        try client.gather(
            payload, among: isWholeJob ? nil : jobRanks, group: name, label: isWholeJob ? label : "\(label), \(self)",
            timeoutSeconds: timeoutSeconds, collectivesBegun: collectivesBegun)
    }

    /// Says that a call of this rank waits, in an operation of the group, for a peer, and has done so for long. Where that peer waits for this rank in
    /// a gather, the job ends with a verdict that names both. Does not block.
    /// - Parameters:
    ///   - number: the operation's place among those of the group, from 0 on, in the order `order`.
    ///   - peer: by the group's numbers.
    public func reportWaiting(in operation: String, number: UInt64, order: Int, for peer: Int) {
        client.send(
            Envelope(.waiting(OperationWait(group: name, operation: operation, number: number, order: order, peer: jobRanks[peer]))))
    }

    /// See `ControlPlaneClient.sessionKey`; another for each group.
    public func sessionKey(label: String, byteCount: Int) -> [UInt8] {
        client.sessionKey(label: isWholeJob ? label : "\(label) of \(name)", byteCount: byteCount)
    }

    /// See `ControlPlaneClient.agree`. Verdicts name ranks of the job.
    public func agree(on own: Verdict, isConclusion: Bool = false) -> Verdict { client.agree(on: own, isConclusion: isConclusion) }

    /// See `ControlPlaneClient.abort`: it ends the job, not the group alone.
    @discardableResult
    public func abort(_ cause: FailureCause = .aborted, reason: String, operation: String) -> Verdict {
        client.abort(cause, reason: reason, operation: operation)
    }

    /// See `ControlPlaneClient.status`: that of the whole job.
    public var status: JobStatus { client.status }
}
