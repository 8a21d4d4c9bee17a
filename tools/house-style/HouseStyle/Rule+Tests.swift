extension Rule {
    static let tests: [Rule] = [
        Rule("sleep-in-tests", "A test waits for what it needs, with a bound; it does not sleep and hope.") { file in
            guard file.isUnder("Tests") else { return [] }
            let words: [String]
            switch file.language {
            case .swift: words = ["Thread.sleep", "Task.sleep", "sleep(", "usleep(", "nanosleep("]
            case .c: words = ["sleep(", "usleep(", "nanosleep("]
            case .shell: words = ["sleep", "time.sleep"]
            case .text, .binary: return []
            }
            let found = file.findings(ofCode: words, { "a test that sleeps (`\($0)`)" }, "wait for the event itself with a deadline")
            return found.filter { file.language != .shell || !isStandIn(file.lines[$0.line - 1].code) }
        }
    ]

    /// `sleep 60` and longer in a shell test is no wait: it plays a process that hangs, for somebody to end.
    private static func isStandIn(_ code: String) -> Bool {
        let words = code.split { !"abcdefghijklmnopqrstuvwxyz0123456789.".contains($0) }
        return words.indices.filter { words[$0].hasSuffix("sleep") }.allSatisfy { index in
            guard index + 1 < words.count else { return false }
            return words[index + 1] == "infinity" || (Double(words[index + 1]) ?? 0) >= 60
        }
    }
}
