/// Whether the other side of a connection is silent. It is counted in this side's own signs of life, not by the clock: a job that is stopped as a whole
/// and goes on finds at most one of them late.
package struct Silence: Sendable {
    package static let signsPerTimeout = 4

    #if DEBUG
        package var mutation: MembershipMutation?
    #endif
    /// Own signs that were due since the other side was last heard.
    private var signs = 0

    package init() {}

    package mutating func heard() { signs = 0 }

    /// Called when a sign of this side is due: four times in each timeout.
    /// - Returns: whether nothing was heard for the timeout. The first sign may have been due just after the other side was heard.
    package mutating func lastsTooLongAtNextSign() -> Bool {
        #if DEBUG
            if mutation == .silenceUnnoticed { return false }
        #endif
        signs += 1
        return signs > Self.signsPerTimeout
    }
}
