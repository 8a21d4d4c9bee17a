import Verbena

/// The largest of each window, channel by channel; windows that would leave the image are left out.
public final class MaxPooling: Layer {
    public let output: Shape
    private let pooling: Pooling
    private let memory: FloatBuffer
    private let choices: ByteBuffer
    private let scratch: Scratch
    private let input: Shape

    public init(_ input: Shape, window: Int, stride: Int? = nil, _ builder: Builder) {
        pooling = Pooling(height: input.height, width: input.width, window: window, stride: stride ?? window)
        output = Shape(height: pooling.outputHeight, width: pooling.outputWidth, channels: input.channels)
        memory = builder.activation(output)
        choices = ByteBuffer(count: builder.capacity * output.elementCount)
        builder.wantGradient(of: input)
        (self.input, scratch) = (input, builder.scratch)
    }

    public func forward(_ input: Matrix, _ pass: Pass) -> Matrix {
        let output = memory.matrix(rows: input.rows / self.input.positions * self.output.positions, columns: input.columns)
        // SAFETY: the choices are held here, one an output.
        unsafe Elements.chosen.poolLargest(pooling, input, into: output, choices: choices.prefix(output.count))
        return output
    }

    public func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) -> Matrix {
        guard wantsInput else { return gradient }
        let rows = gradient.rows / output.positions * input.positions
        let result = scratch.matrix(besides: gradient, rows: rows, columns: gradient.columns)
        // SAFETY: as above.
        unsafe Elements.chosen.poolLargest(pooling, gradient: gradient, choices: choices.prefix(gradient.count), inputGradient: result)
        return result
    }
}

/// The mean of each window, channel by channel.
public final class AveragePooling: Layer {
    public let output: Shape
    private let pooling: Pooling
    private let memory: FloatBuffer
    private let scratch: Scratch
    private let input: Shape

    /// - Parameter window: nil, the whole image.
    public init(_ input: Shape, window: Int? = nil, stride: Int? = nil, _ builder: Builder) {
        pooling =
            window.map { Pooling(height: input.height, width: input.width, window: $0, stride: stride ?? $0) }
            ?? Pooling(wholeHeight: input.height, width: input.width)
        output = Shape(height: pooling.outputHeight, width: pooling.outputWidth, channels: input.channels)
        memory = builder.activation(output)
        builder.wantGradient(of: input)
        (self.input, scratch) = (input, builder.scratch)
    }

    public func forward(_ input: Matrix, _ pass: Pass) -> Matrix {
        let output = memory.matrix(rows: input.rows / self.input.positions * self.output.positions, columns: input.columns)
        Elements.chosen.poolMean(pooling, input, into: output)
        return output
    }

    public func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) -> Matrix {
        guard wantsInput else { return gradient }
        let rows = gradient.rows / output.positions * input.positions
        let result = scratch.matrix(besides: gradient, rows: rows, columns: gradient.columns)
        Elements.chosen.poolMean(pooling, gradient: gradient, inputGradient: result)
        return result
    }
}

/// Bytes, as `FloatBuffer` has floats.
@safe
final class ByteBuffer {
    private let bytes: UnsafeMutableBufferPointer<UInt8>

    init(count: Int) {
        // SAFETY: this object owns the memory until its deinit.
        unsafe bytes = .allocate(capacity: count)
        unsafe bytes.initialize(repeating: 0)
    }

    deinit {
        // SAFETY: allocated by init, used only while this object is held.
        unsafe bytes.deallocate()
    }

    /// The first `count`; valid as long as this object.
    func prefix(_ count: Int) -> UnsafeMutableBufferPointer<UInt8> {
        // SAFETY: this object's own, as said above.
        unsafe UnsafeMutableBufferPointer(rebasing: bytes[..<count])
    }
}
