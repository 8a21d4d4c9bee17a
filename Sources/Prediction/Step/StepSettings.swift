public import Gradients
public import Reduction

/// How the simulated ranks exchange gradients.
public struct StepSettings: Sendable, Equatable {
    /// When the trainer waits for gradients.
    public enum Waiting: String, Sendable, CaseIterable {
        /// For each layer's before its next forward pass, as the included trainer.
        case byLayer = "layer"
        /// For all of them after backprop, before the optimizer.
        case all
    }

    public var bucketSize = GradientSettings.BucketSize.planned
    /// Nil for the one that the planner expects to be faster.
    public var schedule: GradientSettings.Schedule?
    public var wire = WireFormat.plain
    public var waiting = Waiting.byLayer
    /// Whether first layers may overtake; the planner decides which.
    public var usesPriorities = true
    /// Steps that are measured, after one that is not.
    public var steps = 10
    public var seed: UInt64 = 1
    /// Whether every rank of a large world is simulated, and none is an image.
    public var simulatesAllRanks = false

    public init() {}
}
