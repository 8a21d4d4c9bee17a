/// Dense layers with ReLU between them; the last layer's outputs are logits.
///
/// The model owns its parameters and nothing else: activations live in a `Workspace`, gradients where the caller says, which
/// for a data-parallel trainer is the engine's registered memory. Belongs to one thread at a time.
///
/// Parameters are numbered in forward order: `dense1.weight`, `dense1.bias`, `dense2.weight`, ...
@safe
public final class MultilayerPerceptron {
    /// Inputs, hidden sizes, classes.
    public let layerSizes: [Int]
    let layers: [DenseLayer]

    /// - Parameters:
    ///   - layerSizes: at least inputs and classes, each positive; else it traps.
    ///   - seed: the same seed gives the same parameters on every machine.
    public init(layerSizes: [Int], seed: UInt64) {
        invariant(layerSizes.count >= 2 && layerSizes.allSatisfy { $0 > 0 }, "layer sizes \(layerSizes)")
        self.layerSizes = layerSizes
        var generator = SeededGenerator(seed: seed, purpose: .parameters)
        layers = zip(layerSizes, layerSizes.dropFirst()).map { inputs, outputs in
            DenseLayer(inputCount: inputs, outputCount: outputs, generator: &generator)
        }
    }

    public var parameterCount: Int { 2 * layers.count }

    public func parameterName(_ index: Int) -> String { "dense\(index / 2 + 1).\(index.isMultiple(of: 2) ? "weight" : "bias")" }

    /// The values of one parameter, in the model's own memory: valid as long as the model lives.
    public func parameter(at index: Int) -> UnsafeMutableBufferPointer<Float> {
        let layer = layers[index / 2]
        // SAFETY: the layer owns the memory, and the model the layer.
        return unsafe index.isMultiple(of: 2) ? layer.weightMemory.values : layer.biasMemory.values
    }

    public func elementCount(ofParameter index: Int) -> Int {
        let layer = layers[index / 2]
        return index.isMultiple(of: 2) ? layer.weight.count : layer.bias.count
    }

    /// Computes the logits of the samples that `workspace` was loaded with.
    /// - Parameter prepare: called with each parameter's index, in their order, before the first layer that uses it: so a trainer may update parameters
    ///   as late as that. What it throws ends the pass.
    public func forward<Failure: Error>(_ workspace: Workspace, prepare: (Int) throws(Failure) -> Void) throws(Failure) {
        for (level, layer) in layers.enumerated() {
            for parameter in 2 * level...2 * level + 1 { try prepare(parameter) }
            let output = workspace.activation(level + 1)
            layer.forward(workspace.activation(level), into: output)
            if level + 1 < layers.count { Elements.chosen.rectify(output) }
        }
    }

    /// The same with the parameters as they are.
    public func forward(_ workspace: Workspace) { forward(workspace) { _ in } }

    /// The mean loss over the batch, after `forward`; leaves its gradient with respect to the logits for `backward`.
    public func loss(_ workspace: Workspace) -> Double {
        SoftmaxCrossEntropy.lossAndGradient(
            logits: workspace.logits, labels: workspace.labels, gradient: workspace.activationGradient(layers.count))
    }

    /// How many of the workspace's samples the logits put into the right class.
    public func correctCount(_ workspace: Workspace) -> Int {
        SoftmaxCrossEntropy.correctCount(logits: workspace.logits, labels: workspace.labels)
    }

    /// Backpropagates the mean loss, after `loss`.
    ///
    /// Parameters become final from the last to the first. Each is announced before any work for a lower layer, so that its
    /// exchange hides behind the rest of the pass.
    /// - Parameters:
    ///   - gradients: where the gradient of a parameter goes, as long as the parameter; overwritten, never read. Must live
    ///     until its announcement.
    ///   - announce: called on this thread, once for each parameter, when its gradient is final. What it throws ends the pass.
    public func backward<Failure: Error>(
        _ workspace: Workspace, gradients: (Int) -> UnsafeMutableBufferPointer<Float>, announce: (Int) throws(Failure) -> Void
    ) throws(Failure) {
        for (level, layer) in layers.enumerated().reversed() {
            let outputGradient = workspace.activationGradient(level + 1)
            let input = workspace.activation(level)

            // SAFETY: the caller keeps both views alive until their announcement, and they are not used after it.
            let biasGradient = unsafe Matrix(gradients(2 * level + 1), rows: 1, columns: layer.outputCount)
            layer.biasGradient(outputGradient, into: biasGradient)
            try announce(2 * level + 1)

            let weightGradient = unsafe Matrix(gradients(2 * level), rows: layer.inputCount, columns: layer.outputCount)
            layer.weightGradient(input, outputGradient, into: weightGradient)
            try announce(2 * level)

            if level > 0 {
                let inputGradient = workspace.activationGradient(level)
                layer.inputGradient(outputGradient, into: inputGradient)
                Elements.chosen.rectify(gradient: inputGradient, output: input)
            }
        }
    }
}
