extension ModelProfile {
    /// GPT-2 small: 124,439,808 parameters, the embedding shared with the output.
    ///
    /// Source: Radford et al., "Language models are unsupervised multitask learners" (2019): 12 blocks, width 768, 50,257 tokens, context 1,024.
    /// - Parameters:
    ///   - batch: sequences of 1,024 tokens of a rank's step.
    ///   - teraflops: that a rank really does, of forward and backward.
    public static func gpt2Small(batch: Int = 8, teraflops: Double = 100) -> ModelProfile {
        let (width, tokens, context) = (768, 50_257, 1024)
        var work = [Work(name: "embedding", parameters: [tokens * width, context * width], forward: 0)]
        for block in 0..<12 {
            let weights = 12 * width * width
            work.append(
                Work(
                    name: "block\(block)",
                    parameters: [
                        width, width, 3 * width * width, 3 * width, width * width, width, width, width, 4 * width * width, 4 * width,
                        4 * width * width, width,
                    ],
                    // Attention: queries by keys, and weights by values; half of each is masked.
                    forward: 2 * Double(weights * context) + 2 * Double(context * context * width)))
        }
        work.append(Work(name: "output", parameters: [width, width], forward: 2 * Double(width * tokens * context)))
        return transformer("gpt2-small", work, batch, teraflops, samplesPerEpoch: 0)
    }

    /// A model like Llama 3 8B: 8,030,261,248 parameters.
    ///
    /// Source: Grattafiori et al., "The Llama 3 herd of models", arXiv 2407.21783, table 3: 32 blocks, width 4,096, 14,336 in the feed-forward part, 8 key heads of
    /// 32, 128,256 tokens.
    /// - Parameters:
    ///   - batch: sequences of 8,192 tokens of a rank's step.
    ///   - teraflops: that a rank really does.
    public static func llama8B(batch: Int = 1, teraflops: Double = 400) -> ModelProfile {
        let (width, inner, keys, tokens, context) = (4096, 14_336, 1024, 128_256, 8192)
        var work = [Work(name: "embedding", parameters: [tokens * width], forward: 0)]
        for block in 0..<32 {
            let parameters = [
                width, width * width, keys * width, keys * width, width * width, width, inner * width, inner * width, inner * width,
            ]
            let weights = parameters.reduce(0, +)
            work.append(
                Work(
                    name: "block\(block)", parameters: parameters,
                    forward: 2 * Double(weights * context) + 2 * Double(context * context * width)))
        }
        work.append(Work(name: "output", parameters: [width, tokens * width], forward: 2 * Double(width * tokens * context)))
        return transformer("llama-8b", work, batch, teraflops, samplesPerEpoch: 0)
    }

    private static func transformer(
        _ name: String, _ work: [Work], _ batch: Int, _ teraflops: Double, samplesPerEpoch: Int
    ) -> ModelProfile {
        let flops = 3 * work.reduce(0) { $0 + $1.forward } * Double(batch)
        let elements = work.reduce(0) { $0 + $1.parameters.reduce(0, +) }
        // Adam reads four arrays and writes three, at about 1.5 TB/s.
        let optimizer = Double(elements * 4 * 7) / 1.5e12
        let seconds = flops / (teraflops * 1e12) + optimizer
        return ModelProfile(
            name: name, batch: batch, samplesPerEpoch: samplesPerEpoch,
            layers: layers(work, batch: batch, samplesPerSecond: Double(batch) / seconds, optimizerSeconds: optimizer),
            optimizerSeconds: optimizer, spread: 0.01, source: "by formula; \(teraflops) TFLOP/s given")
    }
}
