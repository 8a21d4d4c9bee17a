extension LauncherClaim {
    /// What all families say of this process.
    /// - Throws: what is wrong with `RANK` and `WORLD_SIZE`, which people set by hand; of the others only if none of them makes sense.
    static func all(in variables: [String: String]) throws(RendezvousError) -> [LauncherClaim] {
        var claims: [LauncherClaim] = []
        var problem: RendezvousError?
        for family in VariableFamily.all where family.markers.allSatisfy({ variables[$0] != nil }) {
            do throws(RendezvousError) {
                claims.append(try LauncherClaim(family, in: variables))
            } catch {
                if family.source == .torchrun { throw error }
                problem = problem ?? error
            }
        }
        guard claims.isEmpty else { return claims }
        if let problem { throw problem }
        if variables["WORLD_SIZE"] != nil {
            throw .environment(
                "WORLD_SIZE is set, but RANK is not", remedy: "set RANK in each process to another number from 0, or unset WORLD_SIZE")
        }
        return []
    }

    /// The claim that counts where a launcher runs inside another's variables: that of the one which set its variables last.
    ///
    /// 1. Slurm starts the daemons of mpirun, never the other way round; so it comes last, unless only it makes several ranks.
    /// 2. torchrun's agent (`TORCHELASTIC_RUN_ID`) is started by the others, never the other way round; so it comes first.
    /// 3. `RANK` and `WORLD_SIZE` set by hand are either left over from before the launcher, or set for each rank after it. A world of
    ///    one is left over; one that is larger than the launcher's comes after it. Between these nobody can tell which was meant.
    static func last(of claims: [LauncherClaim], in variables: [String: String]) throws(RendezvousError) -> LauncherClaim? {
        let others = claims.filter { $0.family.source != .torchrun }
        let launcher = others.first { $0.worldSize > 1 } ?? others.first
        guard let torch = claims.first(where: { $0.family.source == .torchrun }) else { return launcher }
        guard let launcher, !torch.isOfTorchElastic(variables), torch.worldSize <= launcher.worldSize else { return torch }
        if torch.worldSize == launcher.worldSize, torch.rank == launcher.rank {
            // The launcher knows more: who else is on this machine, and the job's id.
            let isAllOfIt = (torch.family.localRank + torch.family.localWorldSize).allSatisfy { variables[$0] == nil }
            return isAllOfIt ? launcher : torch
        }
        if torch.worldSize == 1 { return launcher }
        throw .environment(
            "RANK and WORLD_SIZE make this process rank \(torch.rank) of \(torch.worldSize), but \(launcher.family.rank) makes it rank "
                + "\(launcher.rank) of \(launcher.worldSize)",
            remedy: "unset RANK and WORLD_SIZE, or \(launcher.family.rank)")
    }

    /// Whether torchrun's agent started this process: a launcher that knows what it says, not two variables set by hand.
    func isOfTorchElastic(_ variables: [String: String]) -> Bool {
        family.source == .torchrun && variables["TORCHELASTIC_RUN_ID"] != nil
    }
}

extension RendezvousError {
    static func environment(_ detail: String, remedy: String) -> RendezvousError {
        RendezvousError(.configuration, detail, remedy: remedy)
    }
}
