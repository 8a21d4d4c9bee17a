public import Engine
internal import Synchronization

extension Communicator {
    /// Makes communicators of this one's ranks: those who give the same colour form one, numbered by their keys and, where these are equal, by their
    /// numbers here. Who gives none takes part in the call and gets nil. Collective.
    ///
    /// A child has a fabric, an executor with receive buffers and a progress thread of its own, so its operations are not ordered with those of
    /// others; buffers belong to the communicator that allocated them. The fabric is chosen for its members alone: shared memory where they are on
    /// one machine. Different threads may use different communicators at the same time; `split` and `close` are calls of both, parent and child.
    ///
    /// A child keeps its parent (`parent`), for it is the parent that is in the job: close that in the end. A child that is dropped without `close`
    /// stays open until the parent closes. A verdict ends every communicator of the job.
    /// - Throws: what `join` throws once the ranks have found each other.
    public func split(color: Int?, key: Int) throws(VerbenaError) -> Communicator? {
        let number = splits.add(1, ordering: .relaxed).newValue
        let own = color.map { "\($0) \(key)" } ?? ""
        var members: [(key: Int, rank: Int)] = []
        for (rank, bytes) in try allGather(Array(own.utf8), label: "split").enumerated() {
            let wish = String(decoding: bytes, as: UTF8.self).split(separator: " ").compactMap { Int($0) }
            guard wish.count == 2, wish[0] == color else { continue }
            members.append((wish[1], rank))
        }
        members.sort { ($0.key, $0.rank) < ($1.key, $1.rank) }
        guard let color, let child = group.subgroup(of: members.map(\.rank), name: "\(number).\(color)") else { return nil }
        do throws(VerbenaError) {
            let communicator = try Self.build(child, job, parent: self)
            core.adopt(communicator.core)
            return communicator
        } catch {
            throw error.agreed(with: child, during: "splitting")
        }
    }
}
