internal import Collectives
internal import Engine
internal import Fabric
internal import FoundationEssentials
internal import Membership
internal import MixedFabric
internal import Platform
internal import SharedMemoryFabric
internal import VerbsFabric

/// Which fabric carries the data of a group, and what it has to be told: decided from the introductions, the same way on every rank.
struct FabricPlan {
    enum Kind { case sharedMemory, verbs, mixed }

    let kind: Kind
    let settings: ExecutorSettings
    /// Among the members on this machine.
    let localRank: Int
    let localWorldSize: Int
    /// Whether the job's ranks outnumber the cores here that they may use: then who waits lets others have the core.
    let isCrowded: Bool
    /// Whether the caller's threads carry out what they start; see `ProgressChoice`.
    let usesHooks: Bool
    /// Why ranks of one machine do not share memory, though nobody wished that; nil where they do.
    private let obstacle: String?
    private let rank: Int
    private let worldSize: Int
    private let jobKey: [UInt8]
    private let devices: [String]
    private let devicesPerRank: Int
    private let nearRanks: Set<Int>
    private let link: EmulatedLink?
    /// Among all ranks on this machine: a rank's devices are the same in every group.
    private let deviceRank: Int

    /// - Parameter introductions: of all ranks of the job.
    init(_ introductions: [Introduction], _ group: RankGroup, _ configuration: Configuration) throws(VerbenaError) {
        let all = group.jobRanks.map { introductions[$0] }
        rank = group.rank
        worldSize = all.count
        jobKey = group.sessionKey(label: "fabric", byteCount: 16)
        (devices, devicesPerRank) = (configuration.devices, configuration.devicesPerRank)
        link = configuration.link
        let own = all[rank]
        let neighbours = all.indices.filter { all[$0].host.boot == own.host.boot }
        localRank = neighbours.firstIndex(of: rank) ?? 0
        localWorldSize = neighbours.count
        let everyoneHere = introductions.indices.filter { introductions[$0].host.boot == own.host.boot }
        deviceRank = everyoneHere.firstIndex(of: group.jobRanks[rank]) ?? 0
        isCrowded = own.cores.isCrowded(among: everyoneHere.map { introductions[$0].cores })
        let hasSpareCore = !own.cores.isCrowded(among: everyoneHere.map { introductions[$0].cores }, spare: 1)
        let places = all.indices.map { all[$0].place(of: group.jobRanks[$0]) }
        let nodes = Topology(nodeOfRank: places)
        let ownPlace = places[rank]
        nearRanks = Set(all.indices.filter { places[$0] == ownPlace })
        obstacle = Self.obstacle(all, group.jobRanks)
        switch configuration.fabric {
        case .sharedMemory where !nodes.isOneNode:
            if let obstacle { throw VerbenaError(.configuration, "--fabric shm: \(obstacle); or use --fabric verbs or auto") }
            let far = all.indices.first { places[$0] != places[0] } ?? 0
            throw VerbenaError(
                .configuration,
                "--fabric shm needs all ranks on one machine, but rank \(far) is not on that of rank 0; use --fabric verbs or auto")
        case .sharedMemory: kind = .sharedMemory
        case .verbs: kind = .verbs
        case .automatic where nodes.isOneNode: kind = .sharedMemory
        case .automatic: kind = nodes.nodeCount == all.count ? .verbs : .mixed
        }
        if link != nil, kind != .sharedMemory {
            throw VerbenaError(
                .configuration,
                "a link is emulated on shared memory only, and here \(kind == .verbs ? "verbs carries the data" : "ranks are on several machines"); "
                    + "leave out --link, or let all ranks run on one machine with --fabric shm")
        }
        var settings = ExecutorSettings(
            topology: kind == .verbs || link != nil ? .apart(worldSize: all.count) : nodes,
            channelsPerPeer: configuration.channelsPerPeer
                ?? Self.channels(kind, worldSize: all.count, devices: configuration.devicesPerRank),
            stallMilliseconds: configuration.stallMilliseconds, receiveBufferByteLimit: configuration.receiveBufferByteLimit)
        // A device, or a link, wants to be looked at while the caller computes.
        let isAllMapped = kind == .sharedMemory && settings.topology.isOneNode
        let hasUseForThread = worldSize > 1 && (!isAllMapped || hasSpareCore)
        usesHooks = configuration.progress == .hooks || configuration.progress == .automatic && !hasUseForThread
        if let cacheBytes = HostFacts.lastCacheByteCount() { settings.cacheBytes = cacheBytes }
        self.settings = settings
        try checkDevices(configuration)
        try checkReceiveBuffers(configuration)
    }

    /// Whether some two ranks of the job may exchange through memory that both map.
    static func sharesMemory(_ introductions: [Introduction], _ configuration: Configuration) -> Bool {
        let places = introductions.indices.map { introductions[$0].place(of: $0) }
        return configuration.fabric != .verbs && Topology(nodeOfRank: places).nodeCount < introductions.count
    }

    /// Of the first two ranks that run on one machine, are taken as part of the same one, and cannot share memory.
    private static func obstacle(_ all: [Introduction], _ jobRanks: [Int]) -> String? {
        for (one, first) in all.enumerated() {
            for (other, second) in all.enumerated().dropFirst(one + 1)
            where first.host.boot == second.host.boot && first.node == second.node {
                if let found = HostIdentity.obstacle(between: first.host, jobRanks[one], and: second.host, jobRanks[other]) { return found }
            }
        }
        return nil
    }

    /// As many on each device, at least one. One queue pair alone does not fill a link whose ends wait for each other; many ranks have
    /// many anyway.
    private static func channels(_ kind: Kind, worldSize: Int, devices: Int) -> Int {
        kind == .sharedMemory ? 1 : devices * min(4, max(1, 24 / max(1, devices * (worldSize - 1))))
    }

    /// A device without a channel would not be used.
    private func checkDevices(_ configuration: Configuration) throws(VerbenaError) {
        guard 1...Configuration.maxDevicesPerRank ~= devicesPerRank else {
            throw VerbenaError(
                .configuration, "\(devicesPerRank) devices per rank; give a number from 1 to \(Configuration.maxDevicesPerRank)")
        }
        guard let channels = configuration.channelsPerPeer, channels < devicesPerRank, kind != .sharedMemory else { return }
        throw VerbenaError(
            .configuration,
            "\(channels) channels to each peer do not reach \(devicesPerRank) devices per rank; give --queue-pairs \(devicesPerRank) or more"
        )
    }

    /// A limit that was asked for must be kept. The default one gives way to what a very large world needs.
    private func checkReceiveBuffers(_ configuration: Configuration) throws(VerbenaError) {
        guard configuration.receiveBufferByteLimit < ExecutorSettings.receiveBufferByteLimit,
            settings.receiveBufferByteCount > configuration.receiveBufferByteLimit
        else { return }
        // With the limit grow the messages, until they fit.
        var (least, needed) = (0, settings.receiveBufferByteCount)
        while needed > least {
            least = ((needed + 1023) >> 10) << 10
            needed =
                ExecutorSettings(topology: settings.topology, channelsPerPeer: settings.channelsPerPeer, receiveBufferByteLimit: least)
                .receiveBufferByteCount
        }
        throw VerbenaError(
            .configuration,
            "receive buffers of at most \(configuration.receiveBufferByteLimit) bytes: \(worldSize == 1 ? "1 rank needs" : "\(worldSize) ranks need") more; "
                + "give --receive-buffers \(least >> 10)K or more")
    }

    /// - Parameter alone: whether it is the only fabric: then it can sleep in its own way.
    func sharedMemory(alone: Bool) throws(VerbenaError) -> SharedMemoryFabric {
        var options = SharedMemoryConfiguration(
            rank: rank, worldSize: worldSize, channelsPerPeer: settings.channelsPerPeer, arrivalDepth: settings.arrivalDepth,
            jobKey: jobKey, waits: waits, sleepsOnDescriptor: !alone)
        options.reportsCompletions = !alone
        options.link = link
        return try wrapping { () throws(FabricError) in try SharedMemoryFabric(options) }
    }

    func verbs() throws(VerbenaError) -> VerbsFabric {
        var options = VerbsFabricConfiguration(
            rank: rank, worldSize: worldSize, deviceNames: devices, localRank: deviceRank, jobKey: jobKey, epoch: settings.epoch)
        options.devicesPerRank = devicesPerRank
        options.channelsPerPeer = settings.channelsPerPeer
        options.arrivalDepth = settings.arrivalDepth
        options.writeDepth = settings.arrivalDepth
        options.waits = waits
        do throws(FabricError) { return try VerbsFabric(options) } catch {
            guard error.cause == .noDevice, let obstacle else { throw VerbenaError(error) }
            throw VerbenaError(.resource, "\(obstacle); verbs would do as well, but: \(error)")
        }
    }

    func mixed() throws(VerbenaError) -> MixedFabric<SharedMemoryFabric, VerbsFabric> {
        let near = try sharedMemory(alone: false)
        let far = try verbs()
        let options = MixedFabricConfiguration(nearRanks: nearRanks, waits: waits)
        do throws(FabricError) {
            return try MixedFabric(near: near, far: far, options)
        } catch {
            throw VerbenaError(error)
        }
    }

    var waits: WaitPolicy { WaitPolicy(isCrowded: isCrowded, usesDevice: kind != .sharedMemory) }
}
