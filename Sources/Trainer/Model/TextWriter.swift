import Glibc
import Verbena

/// Has a trained transformer write on, character by character. Belongs to one thread.
public final class TextWriter {
    private let model: LayeredModel
    private let characters: [Unicode.Scalar]
    private let temperature: Double
    private var generator: SeededGenerator
    /// The last ones, at most as many as the model sees.
    private var tokens: [Int]
    private let input: FloatBuffer

    /// - Parameters:
    ///   - prompt: what it goes on from; where it is empty, from a line's end, or from the first character that the model knows.
    ///   - temperature: 0: always the likeliest character; 1: as likely as the model says; above: more evenly.
    ///   - seed: of the choices.
    /// - Throws: a model of images, a character of the prompt that the model does not know, or a temperature below 0.
    public init(_ checkpoint: Checkpoint, prompt: String, temperature: Float, seed: UInt64) throws(TrainingError) {
        try BLAS.check()
        guard checkpoint.model == .transformer else {
            throw .checkpoint(
                checkpoint.mismatch("a transformer", "one of \(checkpoint.model)", "give a checkpoint of --model transformer"))
        }
        guard temperature.isFinite, temperature >= 0 else {
            throw .invalidSetting("nothing can be written with a temperature of \(temperature)", remedy: "give 0 or more")
        }
        characters = checkpoint.characters
        let numbers = Dictionary(uniqueKeysWithValues: characters.enumerated().map { ($1, $0) })
        let scalars = Array(prompt.unicodeScalars)
        if let other = scalars.first(where: { numbers[$0] == nil }) {
            let text = SafetensorsJSON.quoted(String(Character(other)))
            throw .invalidSetting(
                "the prompt has \(text), which is none of the model's \(characters.count) characters", remedy: "leave it out")
        }
        tokens = scalars.compactMap { numbers[$0] }
        if tokens.isEmpty { tokens = [numbers["\n"] ?? 0] }
        do { model = try checkpoint.makeModel(capacity: 1) } catch { throw .checkpoint(error) }
        self.temperature = Double(temperature)
        generator = SeededGenerator(seed: seed, purpose: .continuation)
        input = FloatBuffer(count: model.input.positions)
    }

    /// The next character. One forward pass over all that the model sees.
    public func next() throws(TrainingError) -> Unicode.Scalar {
        tokens = tokens.suffix(model.input.positions)
        // What comes behind the last token changes nothing before it: attention is causal.
        for place in 0..<model.input.positions {
            // SAFETY: the buffer, which has so many values, is held here.
            unsafe input.values[place] = place < tokens.count ? Float(tokens[place]) : 0
        }
        let logits = try communicating { () throws(VerbenaError) in
            try model.forward(input.matrix(rows: model.input.positions, columns: 1), Pass())
        }
        // SAFETY: a row of the logits, which stay until the next pass.
        let row = unsafe UnsafeBufferPointer(start: logits.base + (tokens.count - 1) * logits.stride, count: logits.columns)
        let token = choose(unsafe Array(row))
        tokens.append(token)
        return characters[token]
    }

    private func choose(_ logits: [Float]) -> Int {
        let best = logits.indices.max { logits[$0] < logits[$1] } ?? 0
        guard temperature > 0 else { return best }
        let weights = logits.map { exp((Double($0) - Double(logits[best])) / temperature) }
        var rest = Double(generator.unit()) * weights.reduce(0, +)
        for (token, weight) in weights.enumerated() {
            rest -= weight
            if rest < 0 { return token }
        }
        return best
    }
}
