import Verbena

/// What a model makes of samples that it does not learn from.
public enum Evaluation {
    /// How many samples are looked at together, so that products are efficient; fewer where they are large.
    public static func batch(of input: Shape) -> Int { max(1, min(64, (1 << 22) / input.elementCount)) }

    /// The share of labels that the model gets right, and the mean loss in nats. On this rank alone. The data must be of the model's shape and have a sample.
    public static func evaluate(_ model: any Model, on data: any Dataset) throws(TrainingError) -> (accuracy: Double, loss: Double) {
        try BLAS.check()
        let batch = Batch(capacity: min(batch(of: model.input), model.capacity), input: model.input, labelsPerSample: model.labelsPerSample)
        let scratch = FloatBuffer(count: batch.capacity * model.labelsPerSample * model.classCount)
        let found = try communicating { () throws(VerbenaError) in
            try sums(model, Array(0..<data.count), of: data, batch, scratch: scratch)
        }
        let labels = Double(data.count * model.labelsPerSample)
        return (Double(found.correct) / labels, found.loss / labels)
    }

    /// - Parameter scratch: for the logits of a batch.
    static func sums(
        _ model: any Model, _ samples: [Int], of data: any Dataset, _ batch: Batch, scratch: FloatBuffer
    ) throws(VerbenaError) -> (correct: Int, loss: Double) {
        var correct = 0
        var loss = 0.0
        for start in stride(from: 0, to: samples.count, by: batch.capacity) {
            batch.load(samples[start..<min(start + batch.capacity, samples.count)], of: data)
            let logits = try model.forward(batch.matrix, Pass())
            let part = SoftmaxCrossEntropy.judge(
                logits: logits, labels: batch.labels, scratch: scratch.matrix(rows: logits.rows, columns: logits.columns))
            correct += part.correct
            loss += part.loss
        }
        return (correct, loss)
    }
}
