/// y = x W + b, with x: batch x in, W: in x out, b: out, y: batch x out, all row-major.
/// Owns W and b. The gradients' memory is the caller's.
struct DenseLayer {
    let inputCount: Int
    let outputCount: Int
    let weightMemory: FloatBuffer
    let biasMemory: FloatBuffer

    var weight: Matrix { weightMemory.matrix(rows: inputCount, columns: outputCount) }
    var bias: Matrix { biasMemory.matrix(rows: 1, columns: outputCount) }

    /// He initialisation, the uniform kind: weights within +-sqrt(6 / in), so that a ReLU network keeps the variance of its
    /// signal from layer to layer; biases 0. Needs no more than a square root, so every machine draws the same bits.
    init(inputCount: Int, outputCount: Int, generator: inout SeededGenerator) {
        self.inputCount = inputCount
        self.outputCount = outputCount
        weightMemory = FloatBuffer(count: inputCount * outputCount)
        biasMemory = FloatBuffer(count: outputCount)
        let bound = (6 / Float(inputCount)).squareRoot()
        let weight = self.weight
        for index in 0..<weight.count {
            // SAFETY: weightMemory, which this layer holds, has that many values.
            unsafe weight.base[index] = generator.uniform(-bound, bound)
        }
    }

    func forward(_ input: Matrix, into output: Matrix) {
        let bias = self.bias
        for row in 0..<output.rows {
            // SAFETY: rows are inside the output, whose columns setProduct compares with the weights'.
            unsafe (output.base + row * outputCount).update(from: bias.base, count: outputCount)
        }
        output.setProduct(input.plain, weight.plain, accumulating: true)
    }

    /// dL/db: the sum of the output's gradient over the batch.
    func biasGradient(_ outputGradient: Matrix, into gradient: Matrix) {
        invariant(gradient.count == outputCount && outputGradient.columns == outputCount, "a bias gradient has the bias' shape")
        // SAFETY: both matrices have outputCount columns, and their makers keep them alive.
        unsafe gradient.base.update(from: outputGradient.base, count: outputCount)
        for row in 1..<max(outputGradient.rows, 1) {
            let source = unsafe outputGradient.base + row * outputCount
            for column in 0..<outputCount { unsafe gradient.base[column] += source[column] }
        }
    }

    /// dL/dW = x^T dL/dy, straight into its place.
    func weightGradient(_ input: Matrix, _ outputGradient: Matrix, into gradient: Matrix) {
        gradient.setProduct(input.transposed, outputGradient.plain)
    }

    /// dL/dx = dL/dy W^T.
    func inputGradient(_ outputGradient: Matrix, into gradient: Matrix) {
        gradient.setProduct(outputGradient.plain, weight.transposed)
    }
}

/// max(x, 0), in place; NaN stays NaN, so that divergence is not hidden.
enum ReLU {
    static func forward(_ values: Matrix) {
        for index in 0..<values.count {
            // SAFETY: inside the matrix, whose maker keeps it alive.
            let value = unsafe values.base[index]
            unsafe values.base[index] = value < 0 ? 0 : value
        }
    }

    /// Clears the gradient where the layer's output was 0: dL/dx = dL/dy * (y > 0).
    static func backward(output: Matrix, gradient: Matrix) {
        invariant(output.count == gradient.count, "a ReLU's gradient has its output's shape")
        for index in 0..<gradient.count {
            // SAFETY: inside both matrices, whose makers keep them alive.
            let value = unsafe gradient.base[index]
            unsafe gradient.base[index] = output.base[index] > 0 ? value : 0
        }
    }
}
