/// When to say that the others are still waited for: soon enough for a user who has mistyped an address, then ever more rarely.
public struct WaitingNotice: Sendable {
    /// The ranks of a job that is all right are together by then.
    public static let firstSeconds = 5.0
    /// Each time is so many times the one before: 5, 20 and 80 s.
    static let factor = 4.0

    private(set) var nextSeconds: Double

    public init(firstSeconds: Double = Self.firstSeconds) { nextSeconds = max(0.001, ContinuousClock.Instant.bounded(firstSeconds)) }

    /// Whether there is something to say after so much waiting; once for each time.
    mutating func isDue(afterSeconds waited: Double) -> Bool {
        guard waited >= nextSeconds else { return false }
        nextSeconds *= Self.factor
        return true
    }
}
