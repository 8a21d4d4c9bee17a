internal import Foundation
public import Gradients

extension ModelProfile {
    /// From what a run has measured: a layer for each parameter. Its backward pass ends when its gradient is announced; its forward pass, the optimizer's part
    /// included, begins when the trainer wants it.
    /// - Parameters:
    ///   - parameters: in forward order, with as many figures in the arrival or more: what else travels is left out.
    ///   - arrival: of a rank that shares its core with nobody; its times are those of computing, without waits.
    public init(
        recorded name: String, batch: Int, samplesPerEpoch: Int, parameters: [(name: String, elementCount: Int)], arrival: ArrivalProfile,
        inputSeconds: Double, spread: Double, source: String
    ) {
        let last = parameters.count - 1
        // Backprop begins with its first announcement, so the last layer's own pass lies before it, in the forward time.
        let loss = max(0, arrival.forwardSeconds - (arrival.needed[...last].max() ?? 0))
        let layers = parameters.indices.map { index in
            let forward =
                index < last ? max(0, arrival.needed[index + 1] - arrival.needed[index]) : loss / 3
            let backward = index < last ? max(0, arrival.ready[index] - arrival.ready[index + 1]) : 2 * loss / 3 + arrival.ready[last]
            return Layer(
                name: parameters[index].name, parameters: [parameters[index].elementCount], forwardSeconds: forward,
                backwardSeconds: backward)
        }
        self.init(
            name: name, batch: batch, samplesPerEpoch: samplesPerEpoch, layers: layers, inputSeconds: inputSeconds, spread: spread,
            source: source)
    }

    /// As `init(json:place:)` reads it.
    public var json: String {
        let object: [String: Any] = [
            "name": name, "batch": batch, "samplesPerEpoch": samplesPerEpoch, "optimizerSeconds": optimizerSeconds,
            "inputSeconds": inputSeconds, "spread": spread, "source": source,
            "layers": layers.map {
                ["name": $0.name, "parameters": $0.parameters, "forwardSeconds": $0.forwardSeconds, "backwardSeconds": $0.backwardSeconds]
                    as [String: Any]
            },
        ]
        // Texts and finite numbers can always be encoded.
        let data = try? JSONSerialization.data(withJSONObject: object, options: [.prettyPrinted, .sortedKeys])
        return data.map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}
