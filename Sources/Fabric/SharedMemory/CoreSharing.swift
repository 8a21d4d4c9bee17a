import Fabric

/// Whether a waiting rank lets others have the core by yielding it, or sleeps at once.
///
/// A yield costs less than a sleep as long as who gets the core is another rank that waits. Somebody who computes keeps it for a whole slice, and gets
/// it again at the next yield; a sleeper is given it back as soon as it is woken. So after some yields that took long the next waits go without,
/// and then one tries again. Not for a wait on a device as well: who computes there may be the driver.
///
/// Threads: the owner's.
struct CoreSharing: ~Copyable {
    /// Longer than another rank that waits keeps the core.
    static let longNanoseconds: UInt64 = 500_000
    /// Waits without a yield.
    static let waits = 16

    /// Of long yields in `score`; a short one takes 1 back.
    private static let weight = 4

    private var score = 0
    private var waitsLeft = 0
    private var last: UInt64 = 0

    init() {}

    /// Begins a wait.
    /// - Returns: whether to yield in it.
    mutating func begins(at time: FabricInstant) -> Bool {
        last = time.nanoseconds
        if waitsLeft == 0 { return true }
        waitsLeft -= 1
        return false
    }

    /// A yield has ended.
    /// - Returns: whether to yield again.
    mutating func yielded(at time: FabricInstant) -> Bool {
        let isLong = time.nanoseconds - last > Self.longNanoseconds
        last = time.nanoseconds
        score = isLong ? score + Self.weight : max(0, score - 1)
        guard score >= 3 * Self.weight else { return true }
        // The next wait that tries has one long yield to find out.
        score = 2 * Self.weight
        waitsLeft = Self.waits
        return false
    }
}
