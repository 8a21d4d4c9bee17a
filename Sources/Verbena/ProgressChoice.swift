/// Which thread carries out started operations and the exchange of gradients. Results are the same in all modes; each rank chooses for itself.
public enum ProgressChoice: String, Sendable, CaseIterable {
    /// `hooks` where all ranks share memory and no core is to spare beside one for each rank of the machine, by affinity masks and the quotas of control
    /// groups; `thread` otherwise.
    case automatic = "auto"
    /// A thread of the engine: work goes on whatever the caller's threads do.
    case thread
    /// The caller's threads, at the calls that they make anyway: starting an operation, `isDone`, waiting, `gradientReady`, `synchronize`. No thread of the
    /// engine takes the core from one that computes, but for a look every 2 ms if no such call comes.
    case hooks
}
