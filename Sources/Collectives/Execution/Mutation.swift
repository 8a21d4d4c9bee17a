/// Deliberate faults of the protocol. Tests give one to an executor in order to see that the simulation finds it; only debug builds
/// have any.
package enum Mutation: String, CaseIterable, Sendable {
    /// An operation ends before its writes have completed.
    case earlyRelease
    /// The last receive slot is the one before it as well.
    case slotTooFew
    /// A chunk goes to its neighbour's slot.
    case swappedChunk
    /// Another operation's messages are taken for this one's.
    case ignoredSignature
    /// Messages from another life of the group are taken.
    case ignoredEpoch
    /// Nobody waits for an invitation.
    case uninvited
    /// One set of eager slots serves all operations of a lane.
    case eagerSetTooFew
    /// What is to be overwritten is not waited for.
    case ignoredDrain
    /// An operation begins while the one before it on the lane has writes under way.
    case ignoredPrevious
    /// A completion does not wake the lane that waits for it.
    case missedCompletion
    /// A rank leaves the node's memory before the others are done with its own.
    case earlyLeave
    /// Whose a stripe is follows from where the operation begins, and not from the buffer.
    case ownersByOperation
    /// The rounds of a reduceStripes share slots, as those of an allreduce may.
    case roundsShareSlots
    /// A gatherStripes begins before the reduceStripes has ended whose result it hands on.
    case hastyGather
    /// A rank's part enters an average as if it were a partial sum.
    case unscaledParts
    /// Urgent collectives have their place in the order of bulk.
    case oneOrder
    /// An urgent collective begins only when every bulk collective before it has a lane.
    case urgentBehindBulk
    /// The receive slots of urgent lanes are those of bulk lanes.
    case sharedSlots
    /// Bulk writes nothing while an urgent collective is under way.
    case heldBulk
    /// What a wire format loses of an element is kept where the operation begins, and not where the element lies.
    case residualByOperation
    /// What the owner's encoding of a sum loses is not kept.
    case lostResidual
    /// The owner keeps the sum as it is, and not as the others see it.
    case unroundedOwner
    /// The windows of an operation in a wire format have one set of slots too few.
    case windowTooFew
}
