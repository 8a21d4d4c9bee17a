/// Deliberate faults of the control plane. Tests give one to the states of a job in order to see that the simulation finds it; only debug builds have
/// any.
package enum MembershipMutation: String, CaseIterable, Sendable {
    // Of the coordinator.

    /// A second failure replaces the first, and is told as well.
    case secondVerdict
    /// What cannot be a rank of a running job ends it.
    case strangerEndsJob
    /// The last member of a gather is not sent its parts.
    case unreleasedWaiter
    /// A verdict is not told to the last rank that is here.
    case untoldVerdict
    /// The end of a connection counts though its rank has taken leave.
    case leaverTakenForLost
    /// What a rank concludes of another is taken for certain at once.
    case conclusionWins
    /// A conclusion that nothing confirms is forgotten.
    case conclusionForgotten
    /// Gathers are told apart by their numbers only, whatever their groups.
    case mixedGroups
    /// Parts go out by the numbers of ranks, whatever the group's order.
    case partsByRank
    /// A gather goes on waiting for a rank that has taken leave.
    case departureUnnoticed
    /// Before all ranks are here, a rank may take leave unnoticed.
    case earlyDepartureUnnoticed
    /// Ranks that wait for each other in different calls are not noticed.
    case crossingUnnoticed
    /// A rank that waits in a gather counts as one that has not begun the operation that another waits for it in.
    case hastyCrossing
    /// A rank that comes after the verdict is let in.
    case lateWelcome
    /// A launcher's word counts for a rank that had taken leave.
    case launcherBlamesLeaver
    /// A coordinator that closes its connections blames the ranks for their ends.
    case stoppingBlames
    /// With nobody left to tell, the end of the last rank is a failure.
    case lastOneLost
    /// The clock of a gather goes on when that has ended.
    case timerKept

    // Of a rank.

    /// A second verdict replaces the first.
    case replacedVerdict
    /// A rank that has said who it is gives the attempt up, and tries again.
    case impatientHello
    /// A rank gives a gather up as soon as its own time is over.
    case graceless
    /// The end of the coordinator's process is not noticed.
    case coordinatorsEndUnnoticed
    /// What has been gathered is kept for ever.
    case gatheredKept

    // Of both.

    /// Silence is not noticed.
    case silenceUnnoticed
}
