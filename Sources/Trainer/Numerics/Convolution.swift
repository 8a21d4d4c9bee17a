internal import CTiles

/// A convolution of NHWC images with square windows, and its two gradients, on the calling thread.
///
/// Images are matrices of batch * height * width rows, a column for each channel; weights have kernel * kernel * inChannels rows (kernel row, kernel column,
/// channel) and outChannels columns. All are dense and do not overlap. The products need some scratch memory, which convolutions may share.
///
/// Direct: an output is summed in registers out of its inputs, without im2col. CPUs with AVX2 and with AVX-512 give the same bits; older ones round twice where
/// those round once.
// SAFETY (whole file): a set is a constant of the program; whoever calls keeps its matrices' memory alive, and shapes are checked here.
@safe
struct Convolution: CustomStringConvertible {
    private var shape: ConvolutionShape
    private let set: UnsafePointer<TileSet>

    /// The instruction set of this process.
    static var kernelName: String { unsafe String(cString: tile_set_chosen().pointee.name) }

    var height: Int { shape.height }
    var width: Int { shape.width }
    var inChannels: Int { shape.in_channels }
    var outChannels: Int { shape.out_channels }
    var outputHeight: Int { (height + 2 * shape.padding - shape.kernel) / shape.stride + 1 }
    var outputWidth: Int { (width + 2 * shape.padding - shape.kernel) / shape.stride + 1 }
    /// Rows of the weights: the inputs that an output is summed from.
    var weightRows: Int { shape.kernel * shape.kernel * inChannels }
    /// How many floats of scratch each product may need.
    var scratchCount: Int { unsafe withUnsafePointer(to: shape) { unsafe convolution_scratch($0) } }
    /// Operations of one product for one image.
    var operationsPerImage: Int { 2 * outputHeight * outputWidth * weightRows * outChannels }

    var description: String {
        "\(shape.kernel) x \(shape.kernel) of \(height) x \(width) x \(inChannels) to \(outputHeight) x \(outputWidth) x \(outChannels)"
    }

    /// - Parameter padding: zeros around the image; 1 keeps its size where the kernel is 3 and the stride 1.
    init(height: Int, width: Int, inChannels: Int, outChannels: Int, kernel: Int = 3, stride: Int = 1, padding: Int = 1) {
        unsafe self.init(
            height: height, width: width, inChannels: inChannels, outChannels: outChannels, kernel: kernel, stride: stride,
            padding: padding,
            set: tile_set_chosen())
    }

    @unsafe
    private init(
        height: Int, width: Int, inChannels: Int, outChannels: Int, kernel: Int, stride: Int, padding: Int,
        set: UnsafePointer<TileSet>
    ) {
        invariant(
            inChannels > 0 && outChannels > 0 && kernel > 0 && stride > 0 && padding >= 0 && padding < kernel
                && min(height, width) + 2 * padding >= kernel && min(height, width) > 0,
            "windows of \(kernel) x \(kernel), \(stride) apart, over \(height) x \(width) padded by \(padding)")
        shape = ConvolutionShape(
            height: height, width: width, in_channels: inChannels, out_channels: outChannels, kernel: kernel, stride: stride,
            padding: padding)
        unsafe self.set = set
    }

    /// The same by each instruction set of this processor, best first. For tests.
    var bySet: [(name: String, convolution: Convolution)] {
        var all: [(name: String, convolution: Convolution)] = []
        while let set = unsafe tile_set_at(all.count) {
            let other = unsafe Convolution(
                height: height, width: width, inChannels: inChannels, outChannels: outChannels, kernel: shape.kernel, stride: shape.stride,
                padding: shape.padding, set: set)
            unsafe all.append((String(cString: set.pointee.name), other))
        }
        return all
    }

    /// outputs = convolution of the inputs + bias, if there is one, and of that max(x, 0) if it is rectified.
    func forward(
        _ inputs: Matrix, weights: Matrix, bias: Matrix? = nil, isRectified: Bool = false, into outputs: Matrix, scratch: FloatBuffer
    ) {
        let batch = check(inputs, weights, outputs, scratch)
        invariant(bias?.count ?? outChannels == outChannels, "a bias has an element for each channel")
        var shape = shape
        unsafe set.pointee.forward(
            &shape, batch, inputs.dense, weights.dense, bias?.dense, isRectified, outputs.dense, scratch.values.baseAddress!)
    }

    /// The gradient by the inputs, out of that by the outputs.
    func inputGradient(_ gradient: Matrix, weights: Matrix, into inputGradient: Matrix, scratch: FloatBuffer) {
        let batch = check(inputGradient, weights, gradient, scratch)
        var shape = shape
        unsafe set.pointee.input_gradient(
            &shape, batch, gradient.dense, weights.dense, inputGradient.dense, scratch.values.baseAddress!)
    }

    /// The gradient by the weights, summed over the batch; zeros for a batch of none.
    func weightGradient(_ inputs: Matrix, _ gradient: Matrix, into weightGradient: Matrix, scratch: FloatBuffer) {
        let batch = check(inputs, weightGradient, gradient, scratch)
        var shape = shape
        unsafe set.pointee.weight_gradient(
            &shape, batch, inputs.dense, gradient.dense, weightGradient.dense, scratch.values.baseAddress!)
    }

    /// The batch.
    private func check(_ inputs: Matrix, _ weights: Matrix, _ outputs: Matrix, _ scratch: FloatBuffer) -> Int {
        let batch = inputs.rows / (height * width)
        invariant(
            inputs.rows == batch * height * width && inputs.columns == inChannels && outputs.rows == batch * outputHeight * outputWidth
                && outputs.columns == outChannels && weights.rows == weightRows && weights.columns == outChannels,
            "\(self) has no inputs of \(inputs.rows) x \(inputs.columns), weights of \(weights.rows) x \(weights.columns) "
                + "and outputs of \(outputs.rows) x \(outputs.columns)")
        invariant(scratch.count >= scratchCount, "\(scratch.count) floats of scratch, where \(scratchCount) are needed")
        return batch
    }
}
