/// What the core may not have. Package.swift is the one table of modules: a test holds these lists against it, and the compiler's explicit-import check
/// holds the sources to it.
enum Core {
    /// The core is a state machine: it is given the time and the events, and imports no library of its own. Its modules are folders under Sources; those of
    /// other modules below them are not part of it.
    static let folders = ["Fabric", "Reduction", "Collectives", "Gradients"]
    /// Fabrics have clocks and threads.
    static let otherModules = ["Fabric/Verbs", "Fabric/SharedMemory", "Fabric/Mixed", "Fabric/Simulated", "Reduction/CKernels"]
    /// All that core files import.
    static let imports: Set<String> = ["CKernels", "Collectives", "Fabric", "Reduction"]

    static func contains(_ file: SourceFile) -> Bool {
        folders.contains { file.isUnder("Sources/\($0)") } && !otherModules.contains { file.isUnder("Sources/\($0)") }
    }

    /// Names by which a clock, thread, socket, lock or random number would enter the core.
    static let forbiddenWords = [
        "DispatchQueue", "Thread(", "Thread.", "Task {", "Task.detached", "pthread_create(", "Mutex", "NSLock", "clock_gettime", "Date()",
        "ContinuousClock", "SuspendingClock", "SystemRandomNumberGenerator", ".random(", ".shuffled()", ".randomElement()", "socket(",
        "getenv(", "ProcessInfo",
    ]
}
