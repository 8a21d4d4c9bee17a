extension Rule {
    static let tests: [Rule] = [
        Rule("sleep-in-tests", "A test waits for what it needs, with a bound; it does not sleep and hope.") { file in
            guard file.isUnder("Tests") else { return [] }
            let words: [String] =
                switch file.language {
                case .swift: ["Thread.sleep", "Task.sleep", "sleep(", "usleep(", "nanosleep("]
                case .c: ["sleep(", "usleep(", "nanosleep("]
                case .shell: ["sleep", "time.sleep"]
                case .text, .binary: []
                }
            return file.findings(ofCode: words, { "a test that sleeps (`\($0)`)" }, "wait for the event itself with a deadline")
        }
    ]
}
