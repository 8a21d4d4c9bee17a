public import Crypto

/// A text as sequences of characters, each with the character that follows as its label.
///
/// Sample i begins at character i * context: sequences do not overlap, and each one's last label is the next one's first character.
public struct TextDataset: Dataset {
    /// By token, the character: all that the whole text has, in the order of their scalars.
    public let characters: [Unicode.Scalar]
    let tokens: [Int32]
    let context: Int

    public var count: Int { max(tokens.count - 1, 0) / context }
    public var input: Shape { Shape(width: context, channels: 1) }
    public var classCount: Int { characters.count }
    public var labelsPerSample: Int { context }

    /// Traps where a token is no character.
    init(characters: [Unicode.Scalar], tokens: [Int32], context: Int) {
        invariant(tokens.allSatisfy { $0 >= 0 && $0 < characters.count }, "a token is no character")
        (self.characters, self.tokens, self.context) = (characters, tokens, context)
    }

    /// The first nine tenths to learn from, the rest held out; nil where that leaves no sequence.
    /// - Parameter alphabet: of a model that is there already, and has all characters; nil: the text's own.
    static func split(_ text: String, context: Int, alphabet: [Unicode.Scalar]? = nil, origin: String) -> DataSplit? {
        let characters = alphabet ?? Set(text.unicodeScalars).sorted()
        let numbers = Dictionary(uniqueKeysWithValues: characters.enumerated().map { ($1, Int32($0)) })
        let tokens = text.unicodeScalars.map { numbers[$0] ?? 0 }
        let trainingCount = tokens.count - tokens.count / 10
        let training = TextDataset(characters: characters, tokens: Array(tokens[..<trainingCount]), context: context)
        let heldOut = TextDataset(characters: characters, tokens: Array(tokens[trainingCount...]), context: context)
        guard training.count > 0, heldOut.count > 0 else { return nil }
        return DataSplit(
            training: training, heldOut: heldOut,
            origin:
                "\(origin): first \(training.tokens.count) characters of \(characters.count) kinds, held out the other \(heldOut.tokens.count)"
        )
    }

    public func load(_ samples: ArraySlice<Int>, into batch: Batch) {
        let values = batch.matrix
        for (row, sample) in samples.enumerated() {
            invariant(sample >= 0 && sample < count, "sample \(sample) of \(count)")
            for place in 0..<context {
                let token = sample * context + place
                // SAFETY: the batch has room for its samples of `context` values.
                unsafe values.base[row * context + place] = Float(tokens[token])
                batch.setLabel(row * context + place, tokens[token + 1])
            }
        }
    }

    public func hash(into hash: inout SHA256) {
        hash.update(data: Array("text \(tokens.count) \(context) \(characters.map(\.value)) ".utf8))
        // SAFETY: the array is held for the call.
        unsafe tokens.withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
    }
}
