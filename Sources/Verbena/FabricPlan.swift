internal import Collectives
internal import Fabric
internal import Foundation
internal import MixedFabric
internal import Rendezvous
internal import SharedMemoryFabric
internal import VerbsFabric

/// What every rank says of itself before anything is opened.
struct Introduction: Codable {
    /// Where its memory can be mapped.
    var host: String
    /// The machine that it is to be taken as part of.
    var machine: String
    var fabric: String
    /// 0: by default.
    var channelsPerPeer: Int
    var landingByteLimit: Int

    /// Swaps introductions; options that must agree are checked here.
    static func exchange(_ rendezvous: Rendezvous, _ configuration: Configuration) throws(VerbenaError) -> [Introduction] {
        let host = HostIdentity.current()
        let own = Introduction(
            host: host, machine: configuration.machine.map { "\(host)/\($0)" } ?? host, fabric: configuration.fabric.rawValue,
            channelsPerPeer: configuration.channelsPerPeer ?? 0, landingByteLimit: configuration.landingByteLimit)
        let encoded = (try? JSONEncoder().encode(own)).map { [UInt8]($0) } ?? []
        let gathered = try wrapping { () throws(RendezvousError) in
            try rendezvous.allGather(encoded, label: "introductions", timeoutSeconds: Communicator.stageTimeoutSeconds)
        }
        var all: [Introduction] = []
        for (rank, bytes) in gathered.enumerated() {
            guard let introduction = try? JSONDecoder().decode(Introduction.self, from: Data(bytes)) else {
                throw VerbenaError(
                    .rendezvous, rank: rank, "rank \(rank) introduced itself in another format; run the same build on all ranks")
            }
            guard introduction.options == own.options else {
                throw VerbenaError(
                    .configuration, rank: rank,
                    "rank \(rank) was started with \(introduction.options), rank \(rendezvous.rank) with \(own.options); "
                        + "give all ranks the same options")
            }
            all.append(introduction)
        }
        return all
    }

    private var options: String {
        "fabric \(fabric), \(channelsPerPeer == 0 ? "as many channels as it likes" : "\(channelsPerPeer) channels") and at most \(landingByteLimit >> 20) MiB of landing memory"
    }
}

/// Which fabric carries the data, and what it has to be told: decided from the introductions, the same way on every rank.
struct FabricPlan {
    enum Kind { case sharedMemory, verbs, mixed }

    let kind: Kind
    let settings: ExecutorSettings
    let localRank: Int
    let localWorldSize: Int
    /// Whether ranks outnumber the cores here: then who waits lets others have the core.
    let isCrowded: Bool
    private let rank: Int
    private let worldSize: Int
    private let jobKey: [UInt8]
    private let devices: [String]
    private let nearRanks: Set<Int>

    init(_ all: [Introduction], _ rendezvous: Rendezvous, _ configuration: Configuration) throws(VerbenaError) {
        rank = rendezvous.rank
        worldSize = all.count
        jobKey = rendezvous.sessionKey(label: "fabric", byteCount: 16)
        devices = configuration.devices
        let own = all[rendezvous.rank]
        let neighbours = all.indices.filter { all[$0].host == own.host }
        localRank = neighbours.firstIndex(of: rendezvous.rank) ?? 0
        localWorldSize = neighbours.count
        isCrowded = neighbours.count > ProcessInfo.processInfo.activeProcessorCount
        let machines = Topology(machineOfRank: all.map(\.machine))
        nearRanks = Set(all.indices.filter { all[$0].machine == own.machine })
        switch configuration.fabric {
        case .sharedMemory where !machines.isOneMachine:
            let far = all.firstIndex { $0.machine != all[0].machine } ?? 0
            throw VerbenaError(
                .configuration,
                "--fabric shm needs all ranks on one machine, but rank \(far) is not on that of rank 0; use --fabric verbs or auto")
        case .sharedMemory: kind = .sharedMemory
        case .verbs: kind = .verbs
        case .automatic where machines.isOneMachine: kind = .sharedMemory
        case .automatic: kind = machines.machineCount == all.count ? .verbs : .mixed
        }
        var settings = ExecutorSettings(
            topology: kind == .verbs ? .apart(worldSize: all.count) : machines, channelsPerPeer: configuration.channelsPerPeer ?? Self.channels(kind, worldSize: all.count),
            stallMilliseconds: configuration.stallMilliseconds, landingByteLimit: configuration.landingByteLimit)
        if let cacheBytes = MachineFacts.lastCacheByteCount() { settings.cacheBytes = cacheBytes }
        self.settings = settings
    }

    /// One queue pair alone does not fill a link whose ends wait for each other; many ranks have many anyway.
    private static func channels(_ kind: Kind, worldSize: Int) -> Int {
        kind == .sharedMemory ? 1 : min(4, max(1, 24 / max(1, worldSize - 1)))
    }

    /// - Parameter alone: whether it is the only fabric: then it can sleep in its own way.
    func sharedMemory(alone: Bool) throws(VerbenaError) -> SharedMemoryFabric {
        var options = SharedMemoryConfiguration(
            rank: rank, worldSize: worldSize, channelsPerPeer: settings.channelsPerPeer, arrivalDepth: settings.arrivalDepth,
            jobKey: jobKey,
            spins: isCrowded ? 0 : 50, yields: yields, sleepsOnDescriptor: !alone)
        options.reportsCompletions = !alone
        return try wrapping { () throws(FabricError) in try SharedMemoryFabric(options) }
    }

    func verbs() throws(VerbenaError) -> VerbsFabric {
        var options = VerbsFabricConfiguration(
            rank: rank, worldSize: worldSize, deviceName: devices.isEmpty ? nil : devices[localRank % devices.count], localRank: localRank,
            jobKey: jobKey, epoch: settings.epoch)
        options.channelsPerPeer = settings.channelsPerPeer
        options.arrivalDepth = settings.arrivalDepth
        options.writeDepth = settings.arrivalDepth
        if isCrowded { options.spinNanoseconds = 0 }
        return try wrapping { () throws(FabricError) in try VerbsFabric(options) }
    }

    func mixed() throws(VerbenaError) -> MixedFabric<SharedMemoryFabric, VerbsFabric> {
        let near = try sharedMemory(alone: false)
        let far = try verbs()
        let options = MixedFabricConfiguration(nearRanks: nearRanks, spins: isCrowded ? 0 : 50, yields: yields)
        do throws(FabricError) {
            return try MixedFabric(near: near, far: far, options)
        } catch {
            throw VerbenaError(error)
        }
    }

    private var yields: Int { isCrowded ? 500 : 10 }
}
