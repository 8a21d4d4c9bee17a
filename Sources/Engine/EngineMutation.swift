/// Deliberate faults of the engine, for a simulation that is to find them. Only debug builds have any.
package enum EngineMutation: String, CaseIterable, Sendable {
    /// An owner goes without a look at the mail.
    case unreadMail
    /// Mail is said to be read after it was, so that what came in between is forgotten.
    case forgottenMail
    /// Mail does not wake an owner that sleeps in the fabric.
    case sleepingOwner
    /// The progress thread counts the bell after its look, not before.
    case missedRing
    /// A thread that sleeps on an operation is not woken at its end.
    case unwokenWaiter
    /// The slot of an operation ends twice.
    case endedTwice
    /// A later verdict replaces the first.
    case secondVerdict
    /// A failure becomes this rank's verdict before the others have agreed.
    case lonelyVerdict
    /// The verdict that the closing call knows is not that of operations under way.
    case unreasonedStop
    /// Closing does not wait for operations under way.
    case hastyClose
    /// Operations are started while the engine is closing.
    case lateStart
    /// A caller that owns the executor begins an operation while the engine is closing.
    case lateCall
    /// Transfers without another end are not ended.
    case unmatchedKept
    /// The engine's end does not release a thread that closes.
    case undrainedEnd
    /// A caller that carries out its operation does not see that the engine stops.
    case unheardStop
    /// The progress thread sleeps once more when it has read that the engine stops.
    case restingStop
    /// Calls are taken after the engine has stopped, and never answered.
    case unansweredCall
    /// A started operation is one of bulk, whatever its stream.
    case lostStream
    /// Time in which the whole job was stopped counts as a stall.
    case countedPause
    /// With hooks, the progress thread does nothing for a rank that computes.
    case missedTakeOver
}

extension ProgressEngine where F: ~Copyable {
    @inline(__always)
    func isMutated(_ mutation: EngineMutation) -> Bool {
        #if DEBUG
            host.isMutated(mutation)
        #else
            false
        #endif
    }
}
