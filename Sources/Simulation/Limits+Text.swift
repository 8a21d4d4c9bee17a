// What a shorter scenario leaves out, as a command line says it: `calm,no-training,groups=1,ranks=3,halvings=2,operations=3+5,faults=0`.
extension Limits {
    /// Without what the command has options for.
    var shortenings: String {
        var words: [String] = []
        if isCalm { words.append("calm") }
        if !hasTraining { words.append("no-training") }
        if !hasManyChannels { words.append("few-channels") }
        if !hasStripes { words.append("no-stripes") }
        if let groups { words.append(groups.isEmpty ? "no-groups" : "groups=\(Self.list(groups))") }
        if let ranks { words.append("ranks=\(ranks)") }
        if halvings > 0 { words.append("halvings=\(halvings)") }
        if let operations { words.append("operations=\(Self.list(operations))") }
        if let keptFaults { words.append("faults=\(Self.list(keptFaults))") }
        return words.joined(separator: ",")
    }

    private static func list(_ numbers: Set<Int>) -> String { numbers.sorted().map(String.init).joined(separator: "+") }

    /// - Returns: false where the text is not one that `shortenings` gives.
    mutating func shorten(_ text: String) -> Bool {
        for word in text.split(separator: ",") {
            let parts = word.split(separator: "=", omittingEmptySubsequences: false)
            let numbers = parts.count == 2 ? parts[1].split(separator: "+").map { Int($0) } : []
            guard !numbers.contains(nil) else { return false }
            let values = numbers.compactMap { $0 }
            switch (parts[0], parts.count, values.count) {
            case ("calm", 1, _): isCalm = true
            case ("no-training", 1, _): hasTraining = false
            case ("few-channels", 1, _): hasManyChannels = false
            case ("no-stripes", 1, _): hasStripes = false
            case ("no-groups", 1, _): groups = []
            case ("groups", 2, 1...): groups = Set(values)
            case ("ranks", 2, 1) where values[0] > 0: ranks = values[0]
            case ("halvings", 2, 1) where 0...60 ~= values[0]: halvings = values[0]
            case ("operations", 2, _): operations = Set(values)
            case ("faults", 2, _): keptFaults = Set(values)
            default: return false
            }
        }
        return true
    }
}
