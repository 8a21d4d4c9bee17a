internal import CElements

// SAFETY (whole file): a set is a constant of the program; whoever calls keeps its matrices' and arrays' memory alive, and shapes are checked here.

/// Windows over images in NHWC, a matrix of batch * height * width rows and as many columns as channels; without padding. Along an axis there are as
/// many windows as fit: (size - window) / stride + 1.
struct Pooling: Equatable {
    let height: Int
    let width: Int
    let windowHeight: Int
    let windowWidth: Int
    let stride: Int

    var outputHeight: Int { (height - windowHeight) / stride + 1 }
    var outputWidth: Int { (width - windowWidth) / stride + 1 }

    /// Square windows.
    init(height: Int, width: Int, window: Int, stride: Int) {
        invariant(window > 0 && stride > 0 && window <= min(height, width), "windows of \(window) in images of \(height) x \(width)")
        invariant(window * window <= 256, "a window's cells are counted in a byte")
        (self.height, self.width, windowHeight, windowWidth, self.stride) = (height, width, window, window, stride)
    }

    /// One window: the whole image. For means only.
    init(wholeHeight height: Int, width: Int) {
        invariant(height > 0 && width > 0, "images of \(height) x \(width)")
        (self.height, self.width, windowHeight, windowWidth, stride) = (height, width, height, width, 1)
    }

    fileprivate func shape(inputs: Matrix, outputs: Matrix) -> ElementPooling {
        let batch = inputs.rows / (height * width)
        invariant(
            inputs.rows == batch * height * width && outputs.rows == batch * outputHeight * outputWidth
                && inputs.columns == outputs.columns,
            "\(inputs.rows) x \(inputs.columns) pooled to \(outputs.rows) x \(outputs.columns) is not \(self)")
        return ElementPooling(
            batch: batch, height: height, width: width, channels: inputs.columns, window_height: windowHeight, window_width: windowWidth,
            stride: stride)
    }
}

extension Elements {
    /// The largest of each window and channel. `choices`, as many as outputs, keeps which it was; the first of equal ones. NaN wins.
    @unsafe
    func poolLargest(_ pooling: Pooling, _ inputs: Matrix, into outputs: Matrix, choices: UnsafeMutableBufferPointer<UInt8>) {
        var shape = unsafe check(pooling, inputs, outputs, choices)
        unsafe set.pointee.pool_largest(&shape, inputs.dense, outputs.dense, choices.baseAddress!)
    }

    /// The gradient by the inputs of `poolLargest`.
    @unsafe
    func poolLargest(_ pooling: Pooling, gradient: Matrix, choices: UnsafeMutableBufferPointer<UInt8>, inputGradient: Matrix) {
        var shape = unsafe check(pooling, inputGradient, gradient, choices)
        unsafe set.pointee.pool_largest_gradient(&shape, gradient.dense, choices.baseAddress!, inputGradient.dense)
    }

    /// The mean of each window and channel.
    func poolMean(_ pooling: Pooling, _ inputs: Matrix, into outputs: Matrix) {
        var shape = pooling.shape(inputs: inputs, outputs: outputs)
        unsafe set.pointee.pool_mean(&shape, inputs.dense, outputs.dense)
    }

    /// The gradient by the inputs of `poolMean`.
    func poolMean(_ pooling: Pooling, gradient: Matrix, inputGradient: Matrix) {
        var shape = pooling.shape(inputs: inputGradient, outputs: gradient)
        unsafe set.pointee.pool_mean_gradient(&shape, gradient.dense, inputGradient.dense)
    }

    @unsafe
    private func check(
        _ pooling: Pooling, _ inputs: Matrix, _ outputs: Matrix, _ choices: UnsafeMutableBufferPointer<UInt8>
    ) -> ElementPooling {
        invariant(choices.count >= outputs.count && pooling.windowHeight * pooling.windowWidth <= 256, "a byte for each choice")
        return pooling.shape(inputs: inputs, outputs: outputs)
    }
}
