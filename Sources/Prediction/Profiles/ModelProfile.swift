/// What one rank computes in a training step: layers in forward order, the gradients that each makes, and how long each takes. A pure value.
public struct ModelProfile: Sendable, Equatable {
    /// What is computed as a whole: its gradients are all ready at the end of its backward pass.
    public struct Layer: Sendable, Equatable {
        public var name: String
        /// Elements of each parameter, in forward order; none for a layer without parameters.
        public var parameters: [Int]
        public var forwardSeconds: Double
        public var backwardSeconds: Double

        public init(name: String, parameters: [Int], forwardSeconds: Double, backwardSeconds: Double) {
            self.name = name
            self.parameters = parameters
            self.forwardSeconds = forwardSeconds
            self.backwardSeconds = backwardSeconds
        }
    }

    public var name: String
    /// Samples of a rank's step.
    public var batch: Int
    /// Samples of an epoch; 0 where there is no such thing.
    public var samplesPerEpoch: Int
    public var layers: [Layer]
    /// Of all parameters; each layer takes the part of its elements, just before its forward pass.
    public var optimizerSeconds: Double
    /// What a step waits for its input.
    public var inputSeconds: Double
    /// By which part computing varies from step to step and from rank to rank: a standard deviation of one.
    public var spread: Double
    /// Where the times come from, in a sentence.
    public var source: String

    public init(
        name: String, batch: Int, samplesPerEpoch: Int = 0, layers: [Layer], optimizerSeconds: Double = 0, inputSeconds: Double = 0,
        spread: Double = 0, source: String = ""
    ) {
        self.name = name
        self.batch = batch
        self.samplesPerEpoch = samplesPerEpoch
        self.layers = layers
        self.optimizerSeconds = optimizerSeconds
        self.inputSeconds = inputSeconds
        self.spread = spread
        self.source = source
    }

    public var parameterCount: Int { layers.reduce(0) { $0 + $1.parameters.reduce(0, +) } }
    public var forwardSeconds: Double { layers.reduce(0) { $0 + $1.forwardSeconds } }
    public var backwardSeconds: Double { layers.reduce(0) { $0 + $1.backwardSeconds } }
    /// A step of a rank alone, whose times do not vary.
    public var stepSeconds: Double { inputSeconds + forwardSeconds + backwardSeconds + optimizerSeconds }

    /// Layers by their work, which becomes time by a speed: a backward pass is twice the work of a forward pass, since it makes the gradients by the
    /// inputs and by the weights.
    public struct Work {
        var name: String
        var parameters: [Int]
        /// Operations of a forward pass, in any unit.
        var forward: Double
    }

    /// - Parameter samplesPerSecond: of a rank alone.
    static func layers(_ work: [Work], batch: Int, samplesPerSecond: Double, optimizerSeconds: Double) -> [Layer] {
        let total = work.reduce(0) { $0 + $1.forward }
        let computing = max(0, Double(batch) / samplesPerSecond - optimizerSeconds)
        return work.map { layer in
            let seconds = computing * layer.forward / total / 3
            return Layer(name: layer.name, parameters: layer.parameters, forwardSeconds: seconds, backwardSeconds: 2 * seconds)
        }
    }
}
