import FoundationEssentials

/// What `mlx.launch` says in files and addresses, put into variables such as other launchers set.
///
/// Its ring names a file, `MLX_HOSTFILE`, with the addresses of each rank as JSON (`[["10.0.0.1:32323"], ["10.0.0.2:32324"]]`, or nothing for
/// a single rank), JACCL a file with the devices of each rank (`MLX_IBV_DEVICES`) and rank 0's address, NCCL the number of ranks and rank
/// 0's address.
enum MLXVariables {
    // Names of our own: mlx.launch has none for these.
    static let localRank = "MLX_LOCAL_RANK", localWorldSize = "MLX_LOCAL_WORLD_SIZE", masterAddress = "MLX_MASTER_ADDR"

    /// - Parameter contents: the text of the file of a name, nil where it cannot be read.
    static func derived(
        from variables: [String: String], contents: (String) -> String?
    ) throws(RendezvousError) -> [String: String] {
        guard let rank = variables["MLX_RANK"].flatMap({ Int($0) }) else { return [:] }
        var derived: [String: String] = [:]
        if let file = ["MLX_HOSTFILE", "MLX_IBV_DEVICES"].first(where: { variables[$0] != nil }) {
            let list = try list(file, variables[file] ?? "", contents)
            derived["MLX_WORLD_SIZE"] = "\(list.count)"
            let hosts = file == "MLX_HOSTFILE" ? list.map { host($0) } : []
            if !hosts.contains(nil), hosts.indices.contains(rank) {
                derived[localRank] = "\(hosts[..<rank].count { $0 == hosts[rank] })"
                derived[localWorldSize] = "\(hosts.count { $0 == hosts[rank] })"
                derived[masterAddress] = hosts[0]
            }
        }
        if let address = variables["MLX_JACCL_COORDINATOR"].flatMap(host) ?? variables["NCCL_HOST_IP"], derived[masterAddress] == nil {
            derived[masterAddress] = address
        }
        return derived
    }

    /// One entry for each rank.
    private static func list(
        _ name: String, _ path: String, _ contents: (String) -> String?
    ) throws(RendezvousError) -> [Entry] {
        guard let text = contents(path) else {
            throw .environment("\(name)=\(path) cannot be read", remedy: "set MLX_WORLD_SIZE to the number of ranks, and unset \(name)")
        }
        if text.allSatisfy(\.isWhitespace) { return [.other] }
        guard let list = try? JSONDecoder().decode([Entry].self, from: Data(text.utf8)), !list.isEmpty else {
            throw .environment(
                "\(name)=\(path) holds no list of ranks as JSON", remedy: "set MLX_WORLD_SIZE to the number of ranks, and unset \(name)")
        }
        return list
    }

    /// The host of `host:port`, or of the first of several.
    private static func host(_ entry: Entry) -> String? {
        guard case .host(let text) = entry else { return nil }
        return host(text)
    }

    private static func host(_ text: String) -> String? {
        let host = text.lastIndex(of: ":").map { text[..<$0] } ?? text[...]
        let bare = host.hasPrefix("[") && host.hasSuffix("]") ? host.dropFirst().dropLast() : host
        return bare.isEmpty ? nil : String(bare)
    }
}

/// What a list of ranks holds for one of them.
private enum Entry: Decodable {
    /// Its `host:port`, the first where it has several.
    case host(String)
    /// Anything else, which says only that the rank is there.
    case other

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        let text = (try? value.decode(String.self)) ?? (try? value.decode([String].self))?.first
        self = text.map(Entry.host) ?? .other
    }
}
