/// Sentences of a small grammar, for machines without a text. The same seed gives the same text on every machine.
public enum GeneratedText {
    public static func split(seed: UInt64, characterCount: Int = 200_000, context: Int = ModelChoice.context) -> DataSplit {
        let text = text(seed: seed, characterCount: characterCount)
        guard let split = TextDataset.split(text, context: context, origin: "generated sentences of seed \(seed)") else {
            fatalError("\(characterCount) characters are too few")
        }
        return split
    }

    private static let articles = ["a", "the", "one", "every", "no", "my"]
    private static let adjectives = ["small", "old", "green", "quiet", "heavy", "bright", "lost", "early"]
    private static let nouns = [
        "rank", "gradient", "bucket", "river", "garden", "letter", "bird", "clock", "bridge", "lamp", "verbena", "wind",
    ]
    private static let verbs = ["carries", "finds", "leaves", "answers", "follows", "adds", "waits for", "remembers", "turns"]
    private static let joints = [", and ", ", but ", "; then ", ", because "]
    private static let ends = [".\n", ". ", ". ", "!\n", "? "]

    static func text(seed: UInt64, characterCount: Int) -> String {
        var generator = SeededGenerator(seed: seed, purpose: .text)
        func one(_ words: [String]) -> String { words[generator.below(words.count)] }
        func thing() -> String { one(articles) + (generator.below(2) == 0 ? " " + one(adjectives) : "") + " " + one(nouns) }
        func clause() -> String { thing() + " " + one(verbs) + " " + thing() }
        var text = ""
        while text.utf8.count < characterCount {
            let first = clause()
            text += first.prefix(1).uppercased() + first.dropFirst()
            if generator.below(3) == 0 { text += one(joints) + clause() }
            text += one(ends)
        }
        return String(text.prefix(characterCount))
    }
}
