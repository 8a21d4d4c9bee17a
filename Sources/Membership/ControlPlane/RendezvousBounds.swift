/// The bounds of the control plane's waits and queues. Times in seconds; any number is taken, infinity and NaN for the longest time that there is.
public struct RendezvousBounds: Sendable {
    /// How long the coordinator waits for all ranks, from its own start; a rank that has found it waits as long.
    public var joinTimeoutSeconds: Double { didSet { joinTimeoutSeconds = ContinuousClock.Instant.bounded(joinTimeoutSeconds) } }
    /// A rank, or the coordinator, of which nothing was heard for so long is declared stopped or unreachable.
    ///
    /// Both sides send a sign of life every quarter of it. So a rank that is stopped, or whose machine is gone, is found
    /// out after 30 to 38 s by default; a process that ends is found out at once, because its connection ends.
    public var livenessTimeoutSeconds: Double { didSet { livenessTimeoutSeconds = Self.liveness(livenessTimeoutSeconds) } }
    /// How long a connection may take to prove that it belongs to the job.
    public var handshakeTimeoutSeconds: Double {
        didSet { handshakeTimeoutSeconds = ContinuousClock.Instant.bounded(handshakeTimeoutSeconds) }
    }
    /// After how long the coordinator first says whom it waits for; then rarely. See `WaitingNotice`.
    public var noticeSeconds = WaitingNotice.firstSeconds

    public init(
        joinTimeoutSeconds: Double = defaultJoinTimeoutSeconds, livenessTimeoutSeconds: Double = 30, handshakeTimeoutSeconds: Double = 5
    ) {
        self.joinTimeoutSeconds = ContinuousClock.Instant.bounded(joinTimeoutSeconds)
        self.livenessTimeoutSeconds = Self.liveness(livenessTimeoutSeconds)
        self.handshakeTimeoutSeconds = ContinuousClock.Instant.bounded(handshakeTimeoutSeconds)
    }

    public static let defaultJoinTimeoutSeconds = 120.0

    /// A rank that is given less would be lost at the first hiccup of its machine.
    private static let livenessLeastSeconds = 0.1

    private static func liveness(_ seconds: Double) -> Double { max(livenessLeastSeconds, ContinuousClock.Instant.bounded(seconds)) }

    /// The largest payload of one rank in `allGather`: 16 MiB.
    public static let payloadByteLimit = 16 << 20
    /// Longer labels are cut, bytes of UTF-8.
    static let labelByteLimit = 128

    /// What a stranger can make the coordinator hold: one frame of this size for each connection.
    static let helloFrameByteLimit = 1 << 10
    /// What a rank accepts before the coordinator is authenticated: a refusal with five texts of
    /// `Verdict.textByteLimit` bytes, each of which JSON may lengthen sixfold: 5 * 400 * 6 = 12,000, and the names around.
    static let answerFrameByteLimit = 16 << 10
    /// After authentication: a payload, and 128 KiB for the message before it (4,096 lengths in JSON) and the MAC.
    static let sealedFrameByteLimit = payloadByteLimit + (128 << 10)
    /// The most ranks whose payloads one frame carries; keeps the lengths within what `sealedFrameByteLimit` allows for.
    static let ranksPerFrameLimit = 4096

    /// Connections that have not proved anything yet. A start of all ranks at once has room twice over.
    static func pendingConnectionLimit(worldSize: Int) -> Int { max(64, 2 * worldSize) }
    /// How many failed authentications the coordinator remembers for its message at the join deadline.
    static let rememberedStrangerLimit = 4

    /// Where the coordinator keeps a deadline, a rank waits so much longer before it gives up by itself: the coordinator's word is the same for all,
    /// and knows more. Longer than a coordinator that was paused alone stays unnoticed by default.
    package static let graceSeconds = 60.0
    /// How long ranks wait for each other's verdict, before each keeps its own.
    package static let agreementSeconds = 2.0
    /// How long the coordinator waits for the end of a rank's connection, when another rank concludes that its process has ended.
    package static let certaintySeconds = 2.0
    /// How long `leave` waits for the coordinator's answer.
    package static let farewellTimeoutSeconds = 2.0
    /// One attempt to connect.
    static let connectTimeoutSeconds = 2.0
    /// What an attempt to join may take altogether: connecting, the handshake (5 s) and a pause.
    static let attemptSeconds = connectTimeoutSeconds + 5 + retryPauseSeconds.last
    /// The pause between two attempts: doubled from the first to the second.
    package static let retryPauseSeconds = (first: 0.02, last: 0.5)
}
