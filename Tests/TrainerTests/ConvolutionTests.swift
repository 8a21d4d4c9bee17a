import Testing

@testable import Trainer

/// Against plain loops in double, on every instruction set.
@Suite("Convolution")
struct ConvolutionTests {
    /// Which inputs, by which weights, go into which outputs.
    private static func forEachTerm(_ layer: Convolution, kernel: Int, stride: Int, padding: Int, batch: Int, body: (Int, Int, Int) -> Void)
    {
        for image in 0..<batch {
            for y in 0..<layer.outputHeight {
                for x in 0..<layer.outputWidth {
                    let output = (image * layer.outputHeight + y) * layer.outputWidth + x
                    for row in 0..<kernel {
                        for column in 0..<kernel {
                            let (fromY, fromX) = (y * stride + row - padding, x * stride + column - padding)
                            guard (0..<layer.height).contains(fromY), (0..<layer.width).contains(fromX) else { continue }
                            let input = (image * layer.height + fromY) * layer.width + fromX
                            for channel in 0..<layer.inChannels {
                                let weight = ((row * kernel + column) * layer.inChannels + channel) * layer.outChannels
                                for out in 0..<layer.outChannels {
                                    body(input * layer.inChannels + channel, weight + out, output * layer.outChannels + out)
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    struct Shape {
        var (height, width, inChannels, outChannels): (Int, Int, Int, Int)
        var (kernel, stride, padding): (Int, Int, Int)
    }

    private static let shapes = [
        Shape(height: 5, width: 7, inChannels: 1, outChannels: 32, kernel: 3, stride: 1, padding: 1),
        Shape(height: 9, width: 6, inChannels: 16, outChannels: 20, kernel: 3, stride: 2, padding: 1),
        Shape(height: 8, width: 8, inChannels: 5, outChannels: 1, kernel: 5, stride: 2, padding: 2),
        Shape(height: 7, width: 7, inChannels: 16, outChannels: 16, kernel: 1, stride: 2, padding: 0),
        Shape(height: 11, width: 4, inChannels: 18, outChannels: 33, kernel: 2, stride: 3, padding: 1),
        Shape(height: 6, width: 17, inChannels: 3, outChannels: 48, kernel: 3, stride: 1, padding: 0),
        Shape(height: 3, width: 29, inChannels: 2, outChannels: 17, kernel: 3, stride: 1, padding: 2),
        Shape(height: 1, width: 1, inChannels: 4, outChannels: 4, kernel: 3, stride: 2, padding: 1),
    ]

    @Test("forward and both gradients, of odd sizes, strides, paddings and channels", arguments: shapes)
    func products(shape: Shape) {
        let layer = Convolution(
            height: shape.height, width: shape.width, inChannels: shape.inChannels, outChannels: shape.outChannels, kernel: shape.kernel,
            stride: shape.stride, padding: shape.padding)
        let batch = 3
        let inputs = OwnedMatrix(batch * layer.height * layer.width, layer.inChannels, seed: 1)
        let gradient = OwnedMatrix(batch * layer.outputHeight * layer.outputWidth, layer.outChannels, seed: 2)
        let (weights, bias) = (OwnedMatrix(layer.weightRows, layer.outChannels, seed: 3), OwnedMatrix(1, layer.outChannels, seed: 4))

        let (x, w, g, b) = (inputs.doubles, weights.doubles, gradient.doubles, bias.doubles)
        var (outputs, inputGradient) = (g.indices.map { _ in 0.0 }, x.map { _ in 0.0 })
        var weightGradient = w.map { _ in 0.0 }
        Self.forEachTerm(layer, kernel: shape.kernel, stride: shape.stride, padding: shape.padding, batch: batch) { input, weight, output in
            outputs[output] += x[input] * w[weight]
            inputGradient[input] += g[output] * w[weight]
            weightGradient[weight] += g[output] * x[input]
        }
        let rectified = outputs.enumerated().map { max($1 + b[$0 % b.count], 0) }

        var results: [String: [[Float]]] = [:]
        for (name, layer) in layer.bySet {
            // Nothing in the scratch memory may count.
            let scratch = FloatBuffer(count: layer.scratchCount)
            let (made, madeRectified) = (
                OwnedMatrix(gradient.matrix.rows, layer.outChannels), OwnedMatrix(gradient.matrix.rows, layer.outChannels)
            )
            let (byInputs, byWeights) = (
                OwnedMatrix(inputs.matrix.rows, layer.inChannels), OwnedMatrix(layer.weightRows, layer.outChannels)
            )
            func soil() {
                // SAFETY: the buffer is this function's own.
                unsafe scratch.values.update(repeating: .nan)
            }
            soil()
            layer.forward(inputs.matrix, weights: weights.matrix, into: made.matrix, scratch: scratch)
            soil()
            layer.forward(
                inputs.matrix, weights: weights.matrix, bias: bias.matrix, isRectified: true, into: madeRectified.matrix, scratch: scratch)
            soil()
            layer.inputGradient(gradient.matrix, weights: weights.matrix, into: byInputs.matrix, scratch: scratch)
            soil()
            layer.weightGradient(inputs.matrix, gradient.matrix, into: byWeights.matrix, scratch: scratch)
            results[name] = [made.values, madeRectified.values, byInputs.values, byWeights.values]
            for (values, reference) in zip(results[name]!, [outputs, rectified, inputGradient, weightGradient]) {
                #expect(relativeError(values, reference) < 2e-6, "\(name)")
            }
        }
        if let wide = results["avx512"], let narrow = results["avx2"] {
            #expect(wide.map { $0.map(\.bitPattern) } == narrow.map { $0.map(\.bitPattern) })
        }
    }

    @Test("a batch of none: no outputs, and a weight gradient of 0")
    func noBatch() {
        let layer = Convolution(height: 4, width: 4, inChannels: 2, outChannels: 3)
        let (nothing, scratch) = (FloatBuffer(count: 0), FloatBuffer(count: layer.scratchCount))
        let weights = OwnedMatrix(layer.weightRows, 3)
        let (inputs, outputs) = (nothing.matrix(rows: 0, columns: 2), nothing.matrix(rows: 0, columns: 3))
        layer.forward(inputs, weights: weights.matrix, into: outputs, scratch: scratch)
        layer.weightGradient(inputs, outputs, into: weights.matrix, scratch: scratch)
        #expect(weights.values.allSatisfy { $0 == 0 })
    }
}
