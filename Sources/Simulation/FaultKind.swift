/// What goes wrong, as the command line names it.
enum FaultKind: String, CaseIterable, Sendable {
    case crash
    case nodeDeath = "node-death"
    case pause
    case slowRank = "slow-rank"
    case cut
    case flap
    case slowCable = "slow-cable"
    case receiverNotReady = "receiver-not-ready"
    case disagreement

    static let all = Set(allCases)
}
