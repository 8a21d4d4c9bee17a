import Testing
import Trainer
import Verbena

/// A linear classifier as a user of the library would write it, by public means alone.
private final class Linear: Model {
    let parameters: [Parameter]
    let input: Shape
    let classCount: Int
    let labelsPerSample = 1
    let capacity: Int
    private let outputs: FloatBuffer
    private var batch: Matrix?

    init(input: Shape, classCount: Int, capacity: Int, weights: [Float]) {
        (self.input, self.classCount, self.capacity) = (input, classCount, capacity)
        parameters = [
            Parameter(name: "weight", shape: [input.elementCount, classCount], decays: true),
            Parameter(name: "bias", shape: [classCount], decays: false),
        ]
        outputs = FloatBuffer(count: capacity * classCount)
        // SAFETY: the parameter is held here, and as long as the weights.
        for (index, weight) in weights.enumerated() { unsafe parameters[0].values[index] = weight }
    }

    func forward(_ input: Matrix, _ pass: Pass) throws(VerbenaError) -> Matrix {
        let batch = input.reshaped(rows: input.count / self.input.elementCount, columns: self.input.elementCount)
        self.batch = batch
        for index in parameters.indices { try pass.sink?.prepare(index) }
        let output = outputs.matrix(rows: batch.rows, columns: classCount)
        output.setRows(parameters[1].matrix)
        output.setProduct(batch.plain, parameters[0].matrix.plain, accumulating: true)
        return output
    }

    func backward(_ gradient: Matrix, _ pass: Pass) throws(VerbenaError) {
        guard let batch, let sink = pass.sink else { fatalError("no pass to go back by") }
        // SAFETY: the views are the model's until they are announced.
        let bias = unsafe sink.gradient(at: 1)
        for column in 0..<classCount { unsafe bias[column] = gradient.base[column] }
        for row in 1..<max(gradient.rows, 1) {
            for column in 0..<classCount { unsafe bias[column] += gradient.base[row * classCount + column] }
        }
        try sink.ready(1)
        let weight = unsafe Matrix(sink.gradient(at: 0), rows: self.input.elementCount, columns: classCount)
        weight.setProduct(batch.transposed, gradient.plain)
        try sink.ready(0)
    }
}

@Suite("A model of the user's own")
struct OwnModelTests {
    @Test("trains as the included one that computes the same, to the bit", arguments: [1, 2])
    func linear(ranks: Int) async throws {
        let data = GeneratedDigits.split(seed: 1, trainingCount: 400, heldOutCount: 50)
        let digests = try await onRanks(ranks) { communicator in
            var settings = TrainingSettings(model: .mlp(hidden: []))
            settings.batchPerRank = 16
            let included = try DataParallelTrainer(communicator, data: data, settings: settings)
            // SAFETY: the model lives as long as the trainer.
            let weights = unsafe Array(included.model.parameters[0].values)
            _ = try included.runEpoch(0)
            let expected = try included.agreedParameterDigest()

            settings.model = .other(name: "linear")
            let own = try DataParallelTrainer(communicator, data: data, settings: settings) { capacity in
                Linear(input: data.training.input, classCount: data.training.classCount, capacity: capacity, weights: weights)
            }
            #expect(own.title == "linear")
            _ = try own.runEpoch(0)
            return [expected, try own.agreedParameterDigest()]
        }
        for pair in digests { #expect(pair[0] == pair[1]) }
    }
}
