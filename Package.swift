// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target is held to the same rules: Swift 6 mode, strict memory safety, no warning passes.
let rules: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]

/// What those bring along. A test names them, because SwiftPM bounds only what a package names and warns of what no target has.
let broughtAlong: [Target.Dependency] = [
    .product(name: "Atomics", package: "swift-atomics"),
    .product(name: "DequeModule", package: "swift-collections"),
    .product(name: "SwiftASN1", package: "swift-asn1"),
    .product(name: "SystemPackage", package: "swift-system"),
]

/// - Parameters:
///   - path: below Sources; the module's name by default.
///   - without: folders below it that are modules of their own.
///   - embedding: files below it that become bytes of the program, so that it needs nothing beside it.
func module(
    _ name: String, at path: String? = nil, without folders: [String] = [], _ dependencies: [Target.Dependency] = [],
    embedding files: [String] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "Sources/\(path ?? name)", exclude: folders,
        resources: files.map { .embedInCode($0) },
        swiftSettings: rules)
}

/// A module of the pure core: no clock, thread, socket, lock, library or random number of its own, which tools/tidy holds it to.
func core(_ name: String, without folders: [String] = [], _ dependencies: [Target.Dependency] = []) -> Target {
    module(name, without: folders, dependencies)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: rules)
}

let package = Package(
    name: "verbena",
    products: [
        .library(name: "Verbena", targets: ["Verbena"]),
        .library(name: "VerbenaReports", targets: ["Reports"]),
        .library(name: "VerbenaTrainer", targets: ["Trainer"]),
        // The C face: tools/c-library makes libverbena.so of it.
        .library(name: "verbena-c", type: .static, targets: ["VerbenaC"]),
        .executable(name: "verbena", targets: ["verbena"]),
        .executable(name: "rdma-allreduce", targets: ["rdma-allreduce"]),
    ],
    dependencies: [
        // Each is bounded by the minor version after the tested one; docs/DEPENDENCIES.md says which that is, and how it is raised.
        .package(url: "https://github.com/apple/swift-argument-parser", "1.8.0"..<"1.9.0"),
        .package(url: "https://github.com/apple/swift-crypto", "3.12.3"..<"4.6.0"),
        .package(url: "https://github.com/apple/swift-log", "1.6.0"..<"1.17.0"),
        .package(url: "https://github.com/apple/swift-nio", "2.80.0"..<"2.102.0"),
        .package(url: "https://github.com/apple/swift-asn1.git", "1.2.0"..<"1.8.0"),
        .package(url: "https://github.com/apple/swift-atomics.git", "1.1.0"..<"1.4.0"),
        .package(url: "https://github.com/apple/swift-collections.git", "1.1.0"..<"1.7.0"),
        .package(url: "https://github.com/apple/swift-system.git", "1.4.0"..<"1.9.0"),
    ],
    targets: [
        core("Fabric", without: ["Verbs", "SharedMemory", "Mixed", "Simulated"]),
        .target(name: "CKernels", path: "Sources/Reduction/CKernels"),
        core("Reduction", without: ["CKernels"], ["CKernels"]),
        core("Collectives", ["Fabric", "Reduction"]),
        core("Gradients", ["Collectives", "Reduction"]),

        // The one home of system calls, and what they say of the host.
        .target(name: "CPlatform", path: "Sources/Platform/CPlatform"),
        module("Platform", without: ["CPlatform"], ["CPlatform"]),

        // What fulfils the contract.
        // Needs the headers of libibverbs and librdmacm, and opens the libraries at run time.
        .target(name: "CVerbs", path: "Sources/Verbs/CVerbs"),
        module("Verbs", without: ["CVerbs"], ["CVerbs", "Platform"]),
        module("VerbsFabric", at: "Fabric/Verbs", ["CPlatform", "Fabric", "Platform", "Verbs"]),
        module("SharedMemoryFabric", at: "Fabric/SharedMemory", ["Fabric", "CPlatform"]),
        module("MixedFabric", at: "Fabric/Mixed", ["CPlatform", "Fabric", "Platform"]),
        module("SimulatedFabric", at: "Fabric/Simulated", ["Fabric"]),

        // Ranks find each other, and agree on who has failed.
        module("Membership", nio + [crypto, logging]),

        // Who drives the executor.
        module(
            "Engine",
            ["Collectives", "CPlatform", "Fabric", "Gradients", "Membership", "MixedFabric", "SharedMemoryFabric", "VerbsFabric"]),

        // The core in virtual time, against an oracle.
        module("Simulation", ["Collectives", "Engine", "Fabric", "Gradients", "Membership", "Reduction", "SimulatedFabric"]),

        // Training steps in virtual time: how a model scales on machines that are described.
        module("Prediction", ["Collectives", "Fabric", "Gradients", "Reduction", "SimulatedFabric"]),

        // The public face.
        module(
            "Verbena",
            [
                "Collectives", "CPlatform", "Engine", "Fabric", "Gradients", "Membership", "MixedFabric", "Platform", "Reduction",
                "SharedMemoryFabric", "VerbsFabric", logging,
            ]),

        // The same for C: the header, and what fulfils it.
        .target(name: "CVerbena", path: "Sources/VerbenaC/CVerbena"),
        module("VerbenaC", without: ["CVerbena"], ["CVerbena", "Verbena", logging]),

        // What people look at: pages, traces, metrics, out of the reports of steps.
        module(
            "Reports", nio + ["Gradients", "Prediction", "Reduction", .product(name: "NIOHTTP1", package: "swift-nio")],
            embedding: [
                "base.js", "charts.js", "page.html", "prediction.html", "prediction.js", "report.css", "report.html", "report.js", "run.js",
                "timeline.js",
            ].map { "Page/\($0)" }),

        // The included trainer: a user of the public face like any other.
        // These two load their libraries at run time.
        .target(name: "COpenBLAS", path: "Sources/Trainer/COpenBLAS"),
        .target(name: "COneDNN", path: "Sources/Trainer/COneDNN"),
        .target(name: "CElements", path: "Sources/Trainer/CElements"),
        .target(name: "CTiles", path: "Sources/Trainer/CTiles"),
        .systemLibrary(name: "CZlib", path: "Sources/Trainer/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        module(
            "Trainer", without: ["CElements", "COneDNN", "COpenBLAS", "CTiles", "CZlib"],
            ["CElements", "COneDNN", "COpenBLAS", "CTiles", "CZlib", "Verbena", crypto]),

        // For the executables: starting local ranks, and what is wrong with a machine.
        module("Launch", ["CPlatform", "Engine", "Membership", "Platform", "Verbena", logging]),
        module("Diagnosis", ["Membership", "Platform", "Verbena", "Verbs"]),
        module("CommandLineSupport", ["Launch", "Verbena", argumentParser, logging]),
        .executableTarget(
            name: "verbena",
            dependencies: [
                "CommandLineSupport", "Diagnosis", "Gradients", "Prediction", "Reduction", "Reports", "Simulation", "Trainer", "Verbena",
                argumentParser,
            ],
            swiftSettings: rules),
        .executableTarget(
            name: "rdma-allreduce", dependencies: ["CommandLineSupport", "CPlatform", "Platform", "Verbena", argumentParser],
            swiftSettings: rules),

        // Our allreduce in the loop that measures the peers: Benchmarks/peers.
        .target(name: "CMeasure", path: "Benchmarks/peers.d", sources: ["measure.c"], publicHeadersPath: "."),
        .executableTarget(
            name: "peer-verbena", dependencies: ["CMeasure", "CommandLineSupport", "Verbena", argumentParser],
            path: "Benchmarks/PeerVerbena",
            swiftSettings: rules),
        // What a message costs on shared memory.
        .executableTarget(
            name: "SharedMemoryBench", dependencies: ["Fabric", "SharedMemoryFabric"], path: "Benchmarks/SharedMemoryBench",
            swiftSettings: rules),
        // What the executor costs beside the fabric and the data.
        .executableTarget(
            name: "ExecutorBench", dependencies: ["Collectives", "Fabric", "SharedMemoryFabric"], path: "Benchmarks/ExecutorBench",
            swiftSettings: rules),
        // How often operations allocate memory: Tests/end-to-end/allocations.
        .executableTarget(
            name: "allocation-check", dependencies: ["Launch", "Trainer", "Verbena"], path: "Benchmarks/AllocationCheck",
            swiftSettings: rules),
        // What the element kernels move: Benchmarks/kernels.
        .executableTarget(
            name: "kernel-bench", dependencies: ["Reduction"], path: "Benchmarks/KernelBench", swiftSettings: rules),

        // The house style as a program.
        .target(name: "HouseStyle", path: "tools/house-style/HouseStyle", swiftSettings: rules),
        .executableTarget(
            name: "tidy", dependencies: ["HouseStyle"], path: "tools/house-style/tidy", swiftSettings: rules),

        tests("CollectivesTests", ["Collectives", "Fabric", "Reduction"]),
        tests("FabricConformanceTests", ["Fabric", "MixedFabric", "SharedMemoryFabric", "SimulatedFabric", "Verbs", "VerbsFabric"]),
        tests("GradientsTests", ["Collectives", "Gradients", "Reduction"]),
        tests("HouseStyleTests", ["HouseStyle"] + broughtAlong),
        tests("PredictionTests", ["Collectives", "Gradients", "Prediction", "Reduction"]),
        tests("ReportsTests", nio + ["Gradients", "Prediction", "Reduction", "Reports"]),
        tests("RdmaAllreduceTests", ["CommandLineSupport", "Verbena", "rdma-allreduce"]),
        tests("ReductionTests", ["Reduction"]),
        tests("MembershipTests", ["Membership"]),
        tests("SharedMemoryFabricTests", ["Fabric", "SharedMemoryFabric"]),
        tests("SimulationTests", ["Collectives", "Engine", "Fabric", "Membership", "SimulatedFabric", "Simulation"]),
        tests("TrainerTests", ["CZlib", "Launch", "Membership", "Trainer", "Verbena", crypto, logging]),
        tests("VerbenaCommandTests", ["CommandLineSupport", "Trainer", "verbena", argumentParser]),
        tests(
            "VerbenaTests",
            [
                "CPlatform", "Collectives", "Diagnosis", "Engine", "Fabric", "Gradients", "Launch", "Membership", "Platform", "Verbena",
                "Verbs",
            ]),
        tests("VerbsTests", ["Fabric", "Platform", "Verbs", "VerbsFabric"]),
    ]
)

// tools/test.d/sanitized compiles everything anew for each sanitizer: it names the test targets that it runs, and only what they need is built.
if let named = Context.environment["VERBENA_TEST_TARGETS"] {
    let wanted = Set(named.split(separator: ",").map(String.init))
    package.targets.removeAll { $0.type == .test && !wanted.contains($0.name) }
}
