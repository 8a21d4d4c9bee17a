/// What a module may import: the one direction of dependency (docs/ARCHITECTURE.md) as a table.
///
///     executables > CommandLineSupport > Verbena > Gradients > Collectives > {Reduction, Fabric}
///     Verbena > {MixedFabric, VerbsFabric, SharedMemoryFabric, SimulatedFabric} > Fabric        Verbena > Rendezvous
///     VerbsFabric > Verbs > CVerbs     Reduction > CKernels     verbena > Trainer > {Verbena, COpenBLAS, CZlib}
///
/// The compiler's explicit-import check proves that each module imports only what Package.swift gives it; this table says what
/// Package.swift may give.
struct Module: Sendable {
    var name: String
    /// Modules of this package.
    var imports: Set<String>
    /// The core is a state machine: it is given the time and the events, and imports no library of its own.
    var isCore: Bool
    /// Libraries from outside that a core module may import nonetheless.
    var libraries: Set<String>

    private init(_ name: String, _ imports: Set<String>, isCore: Bool = false, libraries: Set<String> = []) {
        self.name = name
        self.imports = imports
        self.isCore = isCore
        self.libraries = libraries
    }

    static let all: [Module] = [
        Module("Fabric", [], isCore: true),
        Module("Reduction", ["CKernels"], isCore: true),
        Module("Collectives", ["Fabric", "Reduction"], isCore: true),
        Module("Gradients", ["Collectives", "Fabric", "Reduction"], isCore: true),

        Module("SharedMemoryFabric", ["CPlatform", "Fabric"]),
        Module("SimulatedFabric", ["Fabric"]),
        Module("MixedFabric", ["Fabric"]),
        Module("Verbs", ["CVerbs"]),
        Module("VerbsFabric", ["Fabric", "Verbs"]),
        Module("Rendezvous", []),
        Module("Simulation", ["Collectives", "Fabric", "Gradients", "Reduction", "SimulatedFabric"]),

        Module(
            "Verbena",
            [
                "CPlatform", "Collectives", "Fabric", "Gradients", "MixedFabric", "Reduction", "Rendezvous", "SharedMemoryFabric",
                "SimulatedFabric", "Verbs", "VerbsFabric",
            ]),
        // A user of the public face like any other.
        Module("Trainer", ["COpenBLAS", "CZlib", "Verbena"]),
        Module("CommandLineSupport", ["Verbena"]),
        Module("verbena", ["CommandLineSupport", "Simulation", "Trainer", "Verbena"]),
        Module("rdma-allreduce", ["CommandLineSupport", "Verbena"]),
        Module("peer-verbena", ["CommandLineSupport", "Verbena"]),
        Module("kernel-bench", ["Reduction"]),
        Module("ExecutorBench", ["Collectives", "Fabric", "SharedMemoryFabric"]),
    ]

    /// Who may import each C module; nobody else, tests included.
    static let owners: [String: [String]] = [
        "CVerbs": ["Verbs"],
        "CKernels": ["Reduction"],
        "CPlatform": ["SharedMemoryFabric", "Verbena"],
        "COpenBLAS": ["Trainer"],
        "CZlib": ["Trainer", "TrainerTests"],
    ]

    static let names = Set(all.map(\.name)).union(owners.keys)

    /// Names by which a clock, thread, socket, lock or random number would enter the core.
    static let wordsForbiddenInCore = [
        "DispatchQueue", "Thread(", "Thread.", "Task {", "Task.detached", "pthread_create(", "Mutex", "NSLock", "clock_gettime", "Date()",
        "ContinuousClock", "SuspendingClock", "SystemRandomNumberGenerator", ".random(", ".shuffled()", ".randomElement()", "socket(",
        "getenv(", "ProcessInfo",
    ]
}
