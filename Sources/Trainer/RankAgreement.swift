import Verbena

/// Compares values that must be the same on every rank.
enum RankAgreement {
    /// Collective. Throws the first value that differs, with the ranks that have each variant, on every rank alike.
    /// Names and values must hold no line break; all ranks give the same names.
    /// - Parameter advised: better the same on every rank, but no error where they are not.
    /// - Returns: of the first of those that differs the values with their ranks.
    @discardableResult
    static func check(
        _ values: [(name: String, value: String)], advised: [(name: String, value: String)] = [], across communicator: Communicator
    ) throws(TrainingError) -> [TrainingError.RankedValue]? {
        let all = values + advised
        let mine = all.map(\.value).joined(separator: "\n")
        let payloads: [[UInt8]]
        do { payloads = try communicator.allGather(Array(mine.utf8), label: "agreement") } catch { throw .communication(error) }
        let lists = payloads.map {
            String(decoding: $0, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        }
        guard let difference = firstDifference(names: all.map(\.name), lists) else { return nil }
        guard case .ranksDisagree(let what, let variants) = difference, advised.contains(where: { $0.name == what }) else {
            throw difference
        }
        return variants
    }

    /// - Parameter lists: by rank the values, in the order of the names.
    static func firstDifference(names: [String], _ lists: [[String]]) -> TrainingError? {
        for (index, name) in names.enumerated() {
            var groups: [TrainingError.RankedValue] = []
            for (rank, list) in lists.enumerated() {
                let value = index < list.count ? list[index] : "nothing"
                if let known = groups.firstIndex(where: { $0.value == value }) {
                    groups[known] = .init(value: value, ranks: groups[known].ranks + [rank])
                } else {
                    groups.append(.init(value: value, ranks: [rank]))
                }
            }
            if groups.count > 1 { return .ranksDisagree(what: name, values: groups) }
        }
        return nil
    }
}
