/// Ranks as a reader wants them: `rank 2`, `ranks 2, 5-7`.
struct RankList: CustomStringConvertible {
    /// A list of more runs than this ends in "and N more", so that it fits a message whatever the world.
    static let runLimit = 12

    let ranks: [Int]

    /// - Parameter ranks: in any order, each once.
    init(_ ranks: some Sequence<Int>) { self.ranks = ranks.sorted() }

    var description: String {
        var runs: [ClosedRange<Int>] = []
        for rank in ranks {
            if let last = runs.last, last.upperBound == rank - 1 {
                runs[runs.count - 1] = last.lowerBound...rank
            } else {
                runs.append(rank...rank)
            }
        }
        var texts = runs.prefix(Self.runLimit).map { run in
            switch run.count {
            case 1: "\(run.lowerBound)"
            case 2: "\(run.lowerBound), \(run.upperBound)"
            default: "\(run.lowerBound)-\(run.upperBound)"
            }
        }
        let hidden = runs.dropFirst(Self.runLimit).reduce(0) { $0 + $1.count }
        if hidden > 0 { texts.append("and \(hidden) more") }
        return (ranks.count == 1 ? "rank " : "ranks ") + texts.joined(separator: ", ")
    }
}
