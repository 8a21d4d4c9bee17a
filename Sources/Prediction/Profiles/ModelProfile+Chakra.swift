extension ModelProfile {
    /// From a Chakra execution trace of one training step of a data-parallel rank: a layer for each all-reduce, which is a bucket of gradients.
    ///
    /// What is computed before an all-reduce makes its gradients; a third of all that stands before the last one is the forward pass. What follows the last one is the
    /// optimizer's. Where the trace has a device's nodes, only these count. docs/PREDICTION.md has the rules.
    /// - Parameters:
    ///   - batch: samples of the step, which a trace does not say.
    ///   - place: what messages and tables call it.
    /// - Throws: `PredictionError`.
    public init(chakra bytes: [UInt8], batch: Int, place: String) throws {
        let nodes = try ChakraTrace(bytes, place: place).inOrder()
        let hasDevice = nodes.contains(where: \.isOnDevice)
        // In the order in which they begin: the last layers' come first.
        var buckets: [(name: String, elements: Int, seconds: Double)] = []
        var computing = 0.0
        for node in nodes where !hasDevice || node.isOnDevice {
            switch node.kind {
            case .computing: computing += Double(node.durationMicroseconds) / 1e6
            case .collective:
                guard let byteCount = try Self.gradientBytes(node, place) else { continue }
                buckets.append(("\(node.id) \(node.name)", (byteCount + 3) / 4, computing))
                computing = 0
            case .send, .receive:
                throw PredictionError("\(place): node \(node.id) '\(node.name)' sends or receives; give a trace of data-parallel training")
            case nil: continue
            }
        }
        guard !buckets.isEmpty else {
            throw PredictionError(
                "\(place): no all-reduce is in it, so nothing says how large the gradients are; give a trace of 2 ranks or more")
        }
        let total = buckets.reduce(0) { $0 + $1.seconds }
        guard total > 0 else { throw PredictionError("\(place): no computing of any duration comes before the last all-reduce") }
        guard total + computing <= 86_400 else {
            throw PredictionError("\(place): computing takes \(total + computing) s; give a step of at most a day")
        }
        // The forward pass lies before the first all-reduce.
        let forward = min(total / 3, buckets[0].seconds)
        buckets[0].seconds -= forward
        let layers = buckets.reversed().map { bucket in
            Layer(
                name: bucket.name, parameters: [bucket.elements], forwardSeconds: forward * bucket.seconds / (total - forward),
                backwardSeconds: bucket.seconds)
        }
        self.init(
            name: place, batch: batch, layers: layers, optimizerSeconds: computing,
            source: "a Chakra trace of \(nodes.count) nodes; the forward pass is taken to be a third, gradients to be fp32")
    }

    /// Nil for what carries no gradients.
    private static func gradientBytes(_ node: ChakraTrace.Node, _ place: String) throws -> Int? {
        let name = "\(place): node \(node.id) '\(node.name)'"
        guard let type = node.attributes["comm_type"], let size = node.attributes["comm_size"] else {
            throw PredictionError("\(name) is a collective without comm_type and comm_size")
        }
        switch ChakraTrace.Collective(rawValue: type) {
        case .allReduce:
            guard 1...1 << 50 ~= size else { throw PredictionError("\(name): comm_size is \(size); give 1 to \(1 << 50) bytes") }
            return Int(size)
        case .broadcast, .barrier: return nil
        case nil: throw PredictionError("\(name) is no all-reduce, broadcast or barrier; give a trace of data-parallel training")
        }
    }
}
