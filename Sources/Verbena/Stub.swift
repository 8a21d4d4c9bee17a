// A world of one behind the public face, so that the trainer compiles and runs before the engine is joined to it.
// The real module replaces this file.

public struct VerbenaError: Error, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

public final class Communicator: Sendable {
    public var rank: Int { 0 }
    public var worldSize: Int { 1 }
    public var fabricName: String { "none" }
    public var deviceName: String { "memory" }
    public init() {}
    public func allGather(_ payload: [UInt8], label: String) throws(VerbenaError) -> [[UInt8]] { [payload] }
    public func barrier(label: String) throws(VerbenaError) {}
}

public struct ParameterLayout: Sendable, Equatable {
    public var name: String
    public var elementCount: Int
    public init(name: String, elementCount: Int) {
        self.name = name
        self.elementCount = elementCount
    }
}

@safe
public final class GradientExchange {
    private let views: [UnsafeMutableBufferPointer<Float>]

    public init(_ communicator: Communicator, parameters: [ParameterLayout], bucketBytes: Int) throws(VerbenaError) {
        // SAFETY: freed in deinit only, so the views live as long as the exchange.
        unsafe views = parameters.map { layout in
            let view = UnsafeMutableBufferPointer<Float>.allocate(capacity: layout.elementCount)
            unsafe view.initialize(repeating: 0)
            return unsafe view
        }
    }

    deinit {
        // SAFETY: allocated in init, and nobody may use a view longer than the exchange.
        for index in unsafe views.indices { unsafe views[index].deallocate() }
    }

    public func gradient(at index: Int) -> UnsafeMutableBufferPointer<Float> { unsafe views[index] }
    public func gradientReady(_ index: Int) throws(VerbenaError) {}
    public func synchronize() throws(VerbenaError) -> StepReport { StepReport(exposedSeconds: 0, buckets: 1) }
}

public struct StepReport: Sendable {
    public var exposedSeconds: Double
    public var buckets: Int
}
