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
        Elements.chosen.sumColumns(of: outputGradient, into: gradient)
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
