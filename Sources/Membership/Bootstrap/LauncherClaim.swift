/// What one family says of this process.
struct LauncherClaim {
    let family: VariableFamily
    let rank: Int
    let worldSize: Int

    init(_ family: VariableFamily, in variables: [String: String]) throws(RendezvousError) {
        self.family = family
        worldSize = try Self.worldSize(family, in: variables)
        rank = try Self.rank(family, worldSize: worldSize, in: variables)
    }

    private static func worldSize(_ family: VariableFamily, in variables: [String: String]) throws(RendezvousError) -> Int {
        let range = 1...JobEnvironment.worldSizeLimit
        guard let size = try JobEnvironment.number(family.worldSize, in: variables, within: range, "is no number of ranks") else {
            let remedy =
                switch family.source {
                case .torchrun: "set WORLD_SIZE to the number of ranks, or unset RANK"
                case .mlx: "set MLX_WORLD_SIZE to the number of ranks"
                case .pmix: "start the ranks with mpirun or srun, or set WORLD_SIZE to their number (prterun -x WORLD_SIZE=2 -np 2 ...)"
                default: "set \(family.worldSize[0]) to the number of ranks"
                }
            let lacking = family.source == .pmix ? "no variable tells the number of ranks" : "\(family.worldSize[0]) is not"
            throw .environment("\(family.rank) is set, but \(lacking)", remedy: remedy)
        }
        return size
    }

    private static func rank(
        _ family: VariableFamily, worldSize: Int, in variables: [String: String]
    ) throws(RendezvousError) -> Int {
        let rank = try JobEnvironment.number(
            [family.rank], in: variables, within: 0...worldSize - 1, "is outside a world of \(worldSize)",
            remedy: ", or raise \(family.worldSize[0])")
        if let rank { return rank }
        throw .environment("\(family.rank) is not set", remedy: "set \(family.rank) to 0 ... \(worldSize - 1)")
    }
}
