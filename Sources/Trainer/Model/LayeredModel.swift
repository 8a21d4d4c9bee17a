public import Verbena

/// A model of layers.
public final class LayeredModel: Model {
    public let parameters: [Parameter]
    public let statistics: [Parameter]
    public let input: Shape
    public let capacity: Int
    private let body: Sequential

    /// - Parameter layers: makes them with the builder; the last one's channels are the classes, its positions the labels of a sample.
    public init<Failure: Error>(
        input: Shape, _ builder: Builder, _ layers: (inout Builder) throws(Failure) -> [any Layer]
    ) throws(Failure) {
        var builder = builder
        body = Sequential(try layers(&builder))
        (self.input, capacity) = (input, builder.capacity)
        (parameters, statistics) = (builder.parameters, builder.statistics)
    }

    public var classCount: Int { body.output.channels }
    public var labelsPerSample: Int { body.output.positions }

    public func forward(_ input: Matrix, _ pass: Pass) throws(VerbenaError) -> Matrix { try body.forward(input, pass) }

    public func backward(_ gradient: Matrix, _ pass: Pass) throws(VerbenaError) {
        _ = try body.backward(gradient, wantsInput: false, pass)
    }
}
