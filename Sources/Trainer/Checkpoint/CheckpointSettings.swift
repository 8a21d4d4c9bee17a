/// Where rank 0 writes checkpoints, and when. One is written at the end of the run in any case.
public struct CheckpointSettings: Sendable, Equatable {
    public var path: String
    /// From one to the next; nil: at the end of each epoch.
    public var steps: Int?

    public init(path: String, steps: Int? = nil) { (self.path, self.steps) = (path, steps) }

    /// Throws where the path is a folder or a device, which no checkpoint may replace.
    public func check() throws(CheckpointError) { try CheckpointFile.checkReplaceable(path) }
}

/// Where a run went on.
public struct Resumption: Sendable, Equatable {
    /// From 0.
    public let epoch: Int
    /// The next one of the epoch, from 0.
    public let step: Int
    /// Samples of the epoch that nobody sees: the checkpoint lies inside it, at no beginning of a global batch of this run's size.
    public let skippedSamples: Int
    /// One line where the digest is not that of a run without interruption, with the reasons; else nil.
    public let warning: String?
}
