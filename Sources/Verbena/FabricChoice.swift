/// Which fabric carries the data.
public enum FabricChoice: String, Sendable, CaseIterable {
    /// Shared memory when all ranks are on one machine, verbs otherwise.
    case automatic = "auto"
    case verbs
    case sharedMemory = "shm"
}
