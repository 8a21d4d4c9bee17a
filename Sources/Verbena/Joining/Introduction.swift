internal import Collectives
internal import Engine
internal import FoundationEssentials
internal import Membership
internal import Platform
internal import VerbsFabric

/// What every rank says of itself before anything is opened.
struct Introduction: Codable, Sendable {
    /// Where its memory can be mapped.
    var host: HostIdentity
    var cores: UsableCores
    /// The control groups that limit its memory, by their numbers.
    var memoryGroups: [UInt64]
    /// The machine that it is to be taken as part of, where that is less than its host.
    var node: String
    var fabric: String
    var devicesPerRank: Int
    /// 0: by default.
    var channelsPerPeer: Int
    var receiveBufferByteLimit: Int
    var link: EmulatedLink?
    /// Those of the file that it was given.
    var costs: Costs?

    /// Swaps introductions; options that must agree are checked here.
    static func exchange(_ group: RankGroup, _ configuration: Configuration) throws(VerbenaError) -> [Introduction] {
        let host = HostIdentity.current()
        let groups = ControlGroups.ofThisProcess()
        let own = Introduction(
            host: host, cores: .ofThisProcess(groups), memoryGroups: groups.memory.map(\.identity),
            node: configuration.node ?? "", fabric: configuration.fabric.rawValue,
            devicesPerRank: configuration.devicesPerRank, channelsPerPeer: configuration.channelsPerPeer ?? 0,
            receiveBufferByteLimit: configuration.receiveBufferByteLimit, link: configuration.link, costs: try configuration.loadedCosts)
        let encoded = (try? JSONEncoder().encode(own)).map { [UInt8]($0) } ?? []
        let gathered = try wrapping { () throws(RendezvousError) in
            try group.allGather(encoded, label: "introductions", timeoutSeconds: Communicator.stageTimeoutSeconds)
        }
        var all: [Introduction] = []
        for (rank, bytes) in gathered.enumerated() {
            guard let introduction = try? JSONDecoder().decode(Introduction.self, from: Data(bytes)) else {
                throw VerbenaError(
                    .disagreed, rank: rank, "rank \(rank) introduced itself in another format; run the same build on all ranks")
            }
            guard introduction.options == own.options else {
                throw VerbenaError(
                    .configuration, rank: rank,
                    "rank \(rank) was started with \(introduction.options), rank \(group.rank) with \(own.options); "
                        + "give all ranks the same options")
            }
            guard introduction.costs == own.costs else {
                throw VerbenaError(
                    .configuration, rank: rank,
                    "rank \(rank) was given other costs to choose algorithms by than rank \(group.rank); "
                        + "let VERBENA_COSTS name the same file for all ranks, or for none")
            }
            all.append(introduction)
        }
        return all
    }

    /// The same text for ranks that map each other's memory.
    /// - Parameter rank: whose introduction it is.
    func place(of rank: Int) -> String {
        let alone = host.failure == nil ? "" : "/rank \(rank)"
        return "\(host.boot)/\(host.processes)/\(node)\(alone)"
    }

    private var options: String {
        let devices = devicesPerRank == 1 ? "1 device" : "\(devicesPerRank) devices"
        let channels = channelsPerPeer == 0 ? "as many channels as it likes" : "\(channelsPerPeer) channels"
        return
            "fabric \(fabric), \(link.map { "emulated link \($0), " } ?? "")\(devices) per rank, \(channels) and at most \(receiveBufferByteLimit) bytes of receive buffers"
    }
}
