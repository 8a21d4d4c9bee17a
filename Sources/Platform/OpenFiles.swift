internal import CPlatform

/// The limit on open files. Every peer of a machine and every buffer takes one, and 1,024, the usual soft limit, are few for 16 ranks.
package enum OpenFiles {
    /// More than any job needs. Beyond it some programs that we do not know would go through all numbers up to the limit, one by one.
    private static let most: UInt64 = 1 << 20

    /// Raises the soft limit to the hard one, which the system meant for programs that do not use select(2): it takes descriptors below 1,024
    /// only. Children inherit it.
    package static func raiseLimit() { _ = limits(raisingTo: most) }

    /// What a process that hosts the rendezvous has open beside its ranks' connections, at most.
    private static let ownFiles = 24

    /// Raises the limit for a process that hosts the rendezvous of so many ranks.
    /// - Parameter filesPerRank: a connection, for one.
    /// - Returns: what to do where that cannot be enough: connections that cannot be accepted would keep everybody waiting. Nil where it is.
    package static func shortage(forRanks ranks: Int, filesPerRank: Int = 1) -> String? {
        raiseLimit()
        let needed = ranks * filesPerRank + ownFiles
        guard let limit = limits()?.soft, limit < UInt64(needed) else { return nil }
        return "a limit of \(limit) open files is too low for the connections of \(ranks) ranks; raise it to \(needed) or more "
            + "(ulimit -n, LimitNOFILE=, --ulimit nofile of a container)"
    }

    /// The soft and the hard limit as they are; nil where the system does not say.
    package static func limits(raisingTo most: UInt64 = 0) -> (soft: UInt64, hard: UInt64)? {
        var (soft, hard): (UInt64, UInt64) = (0, 0)
        // SAFETY: pointers to locals are used during the call only.
        return unsafe platform_raise_open_files(most, &soft, &hard) == 0 ? (soft, hard) : nil
    }
}
