/// Why a trainer waited for its gradients.
public enum ExposedCause: String, Sendable, Equatable, Codable, CaseIterable {
    /// The bucket had not been handed over: a gradient of this rank, of the bucket or of one before it, was not ready.
    case ownGradient
    /// The same gradients of another rank were not ready.
    case latePeer
    /// Messages were on the way, or stood behind those of earlier buckets.
    case wire
    /// The engine added and copied elements.
    case reduction
    /// The thread that drives the engine had something to do and no core to do it on.
    case core
    /// All was done, and the trainer did not run yet.
    case release
}

/// The time that a trainer waited for its gradients, in seconds, by cause. Every moment has one cause, so that the parts sum to the whole.
public struct ExposedTime: Sendable, Equatable, Codable {
    /// See `ExposedCause` for each of these.
    public var ownGradient: Double
    public var latePeer: Double
    public var wire: Double
    public var reduction: Double
    public var core: Double
    public var release: Double

    public init(
        ownGradient: Double = 0, latePeer: Double = 0, wire: Double = 0, reduction: Double = 0, core: Double = 0, release: Double = 0
    ) {
        self.ownGradient = ownGradient
        self.latePeer = latePeer
        self.wire = wire
        self.reduction = reduction
        self.core = core
        self.release = release
    }

    public var total: Double { ownGradient + latePeer + wire + reduction + core + release }

    public subscript(cause: ExposedCause) -> Double {
        get {
            switch cause {
            case .ownGradient: ownGradient
            case .latePeer: latePeer
            case .wire: wire
            case .reduction: reduction
            case .core: core
            case .release: release
            }
        }
        set {
            switch cause {
            case .ownGradient: ownGradient = newValue
            case .latePeer: latePeer = newValue
            case .wire: wire = newValue
            case .reduction: reduction = newValue
            case .core: core = newValue
            case .release: release = newValue
            }
        }
    }

    /// The cause of the most time; nil where there was none.
    public var largest: ExposedCause? {
        let cause = ExposedCause.allCases.max { self[$0] < self[$1] }
        return cause.flatMap { self[$0] > 0 ? $0 : nil }
    }

    public static func + (left: ExposedTime, right: ExposedTime) -> ExposedTime {
        ExposedTime(
            ownGradient: left.ownGradient + right.ownGradient, latePeer: left.latePeer + right.latePeer, wire: left.wire + right.wire,
            reduction: left.reduction + right.reduction, core: left.core + right.core, release: left.release + right.release)
    }

    public static func += (left: inout ExposedTime, right: ExposedTime) { left = left + right }
}
