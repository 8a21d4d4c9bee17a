/// What a rank holds in detail, as far as the others need to know to choose from it.
struct StepOffer: Codable, Equatable {
    /// Steps that are multiples of it, a power of 2, up to the last one.
    var stride: Int
    var lastStep: Int
    /// Held as well; the slowest first.
    var slowest: [Int]
    var median: Int?
    /// The encoded size of the largest step held.
    var stepBytes: Int

    func holds(_ step: Int) -> Bool { step <= lastStep && step % stride == 0 || slowest.contains(step) }
}

/// Which steps a report shows in detail: a pure function, so that every rank chooses the same.
enum StepChoice {
    /// - Parameters:
    ///   - offers: of all ranks; rank 0's says which steps are the slowest and the median.
    ///   - limit: how many steps at most.
    /// - Returns: steps that every rank holds, ascending: rank 0's median, its slowest (a quarter of the limit at most), and beside them some evenly
    ///   over the whole run.
    static func steps(from offers: [StepOffer], limit: Int) -> [Int] {
        guard let first = offers.first, limit > 0, let stride = offers.map(\.stride).max(), let last = offers.map(\.lastStep).min() else {
            return []
        }
        func isCommon(_ step: Int) -> Bool { offers.allSatisfy { $0.holds(step) } }
        let slow = first.slowest.filter(isCommon).prefix(max(1, limit / 4))
        let wanted = [first.median].compactMap(\.self).filter(isCommon) + slow
        // A stride of a rank divides every larger one: so all hold the multiples of the largest.
        let even = last < 0 ? [] : (0...last / stride).map { $0 * stride }
        return fill(wanted, from: even, limit: limit)
    }

    /// `wanted`, as far as the limit goes, and of `others` as many as there is room for, evenly; ascending, each once.
    static func fill(_ wanted: [Int], from others: [Int], limit: Int) -> [Int] {
        var chosen = Set<Int>()
        for step in wanted where chosen.count < limit { chosen.insert(step) }
        let rest = others.filter { !chosen.contains($0) }
        let room = min(limit - chosen.count, rest.count)
        for index in 0..<room { chosen.insert(rest[room == 1 ? 0 : index * (rest.count - 1) / (room - 1)]) }
        return chosen.sorted()
    }
}
