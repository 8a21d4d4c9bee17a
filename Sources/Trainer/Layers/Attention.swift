import Verbena

/// Causal attention of several heads between its two products: of each position's query, key and value (`input` has 3 x width channels, the heads of each side by
/// side) it makes the mean of the values up to there, weighted by softmax(query key / sqrt(head size)). Source: Vaswani et al., arXiv 1706.03762.
final class Attention: Layer {
    let output: Shape
    private let headCount: Int
    private let headSize: Int
    private let length: Int
    private let memory: FloatBuffer
    /// Of each sample and head length x length, the weights.
    private let weights: FloatBuffer
    private let weightGradient: FloatBuffer
    private let triangle: Triangle
    /// What the triangle's products need.
    private let room: FloatBuffer
    private let scratch: Scratch
    private var input: Matrix?

    init(_ input: Shape, headCount: Int, _ builder: Builder) {
        let width = input.channels / 3
        invariant(input.channels == 3 * width && width.isMultiple(of: headCount), "\(headCount) heads of \(input.channels) channels")
        (self.headCount, headSize, length) = (headCount, width / headCount, input.positions)
        output = Shape(width: length, channels: width)
        memory = builder.activation(output)
        weights = FloatBuffer(count: builder.capacity * headCount * length * length)
        weightGradient = FloatBuffer(count: length * length)
        triangle = Triangle(size: length, columns: headSize)
        room = FloatBuffer(count: triangle.scratchCount)
        builder.wantGradient(of: input)
        scratch = builder.scratch
    }

    private var scale: Float { 1 / Float(headSize).squareRoot() }

    func forward(_ input: Matrix, _ pass: Pass) -> Matrix {
        self.input = input
        let output = memory.matrix(rows: input.rows, columns: self.output.channels)
        forEachHead(input.rows) { rows, head, weights in
            triangle.setLower(weights, ofProduct: part(input, rows, .query, head), part(input, rows, .key, head), scratch: room)
            Elements.chosen.softmax(weights, scale: scale, isCausal: true)
            triangle.setProduct(
                output.part(rows: rows, columns: columns(head)), of: weights, part(input, rows, .value, head), scratch: room)
        }
        return output
    }

    func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) -> Matrix {
        guard let input else { fatalError("a backward pass before any forward pass") }
        let result = scratch.matrix(besides: gradient, rows: input.rows, columns: input.columns)
        let slopes = weightGradient.matrix(rows: length, columns: length)
        forEachHead(input.rows) { rows, head, weights in
            let outputs = gradient.part(rows: rows, columns: columns(head))
            triangle.setProduct(part(result, rows, .value, head), ofTransposed: weights, outputs, scratch: room)
            triangle.setLower(slopes, ofProduct: outputs, part(input, rows, .value, head), scratch: room)
            Elements.chosen.softmax(gradient: slopes, probabilities: weights, scale: scale, isCausal: true)
            triangle.setProduct(part(result, rows, .query, head), of: slopes, part(input, rows, .key, head), scratch: room)
            triangle.setProduct(part(result, rows, .key, head), ofTransposed: slopes, part(input, rows, .query, head), scratch: room)
        }
        return result
    }

    /// Calls with the rows of each sample, the number of each head, and its weights.
    private func forEachHead(_ rowCount: Int, _ body: (Range<Int>, Int, Matrix) -> Void) {
        let all = weights.matrix(rows: rowCount * headCount, columns: length)
        for sample in 0..<rowCount / length {
            for head in 0..<headCount {
                let start = (sample * headCount + head) * length
                body(sample * length..<(sample + 1) * length, head, all.part(rows: start..<start + length))
            }
        }
    }

    private enum Side: Int { case query, key, value }

    private func columns(_ head: Int) -> Range<Int> { head * headSize..<(head + 1) * headSize }

    /// One head's side of one sample.
    private func part(_ matrix: Matrix, _ rows: Range<Int>, _ side: Side, _ head: Int) -> Matrix {
        matrix.part(columns: side.rawValue * output.channels..<(side.rawValue + 1) * output.channels).part(
            rows: rows, columns: columns(head))
    }
}
