/// How a thread waits for its peers: it looks, then lets others have the core between two looks, then sleeps. One value for the engine and the fabrics
/// below it.
public struct WaitPolicy: Sendable, Equatable {
    /// How often a caller looks for the end of its own operation before it calls the fabric's `wait`, which reads the clock.
    public var callerLooks = 0
    /// How often `wait` looks before it gives the core away.
    public var spins: Int
    /// How often `wait` looks after that, each time letting whoever else can run have the core (sched_yield), before it sleeps. A yield costs about a
    /// microsecond, to sleep and be woken several.
    public var yields: Int
    /// The same on a device alone, in time; 0 sleeps at once. To sleep and be woken by a device costs several system calls, and soft-RoCE's kernel
    /// threads want the core that a spinning rank would keep.
    public var deviceYieldNanoseconds: UInt64 = 2_000_000

    /// How often a caller looks without a pause: a pause is as long as a small message takes.
    @inlinable public static var looksWithoutPause: Int { 100 }
    /// How often the progress thread looks before the fabric's `wait`: rarely, because it takes the core from threads that compute.
    @inlinable public static var progressLooks: Int { 16 }

    /// For a fabric without an engine.
    public init(spins: Int = 0, yields: Int = 0) { (self.spins, self.yields) = (spins, yields) }

    /// - Parameters:
    ///   - isCrowded: ranks outnumber the cores that they may use. A thread that spins then keeps the rank that it waits for from running.
    ///   - usesDevice: its driver may want the core, so a caller hardly looks; if nobody wants the core, the fabric goes on looking. In shared memory
    ///     alone a caller looks for about as long as a middle-sized operation takes.
    public init(isCrowded: Bool, usesDevice: Bool) {
        self.init(spins: isCrowded ? 0 : 50, yields: isCrowded ? 500 : 10)
        callerLooks = isCrowded ? 2 : usesDevice ? 20 : 2_000
    }
}
