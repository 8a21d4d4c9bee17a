/// What is learnt from and what is only looked at.
public struct DataSplit: Sendable {
    public let training: any Dataset
    public let heldOut: any Dataset
    /// Where it came from, for people: a folder and its files, or the generator.
    public let origin: String

    public init(training: any Dataset, heldOut: any Dataset, origin: String) {
        invariant(training.input == heldOut.input && training.classCount == heldOut.classCount, "both parts have samples of one shape")
        self.training = training
        self.heldOut = heldOut
        self.origin = origin
    }
}
