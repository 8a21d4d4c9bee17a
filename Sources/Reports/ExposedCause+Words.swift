internal import Gradients

extension ExposedCause {
    /// As people read it.
    var name: String {
        switch self {
        case .ownGradient: "own gradient"
        case .latePeer: "late peer"
        case .wire: "wire"
        case .reduction: "reduction"
        case .core: "core"
        case .release: "release"
        }
    }

    /// As metrics spell it.
    var label: String {
        switch self {
        case .ownGradient: "own_gradient"
        case .latePeer: "late_peer"
        default: rawValue
        }
    }

    var explanation: String {
        switch self {
        case .ownGradient: "A gradient of this rank was not ready, so the bucket had not been handed over."
        case .latePeer: "The same gradients of another rank were not ready."
        case .wire: "Messages were on the way, or stood behind those of earlier buckets."
        case .reduction: "The engine added and copied elements."
        case .core: "The engine's thread had work and no core to do it on."
        case .release: "All was done, and the trainer did not run yet."
        }
    }
}
