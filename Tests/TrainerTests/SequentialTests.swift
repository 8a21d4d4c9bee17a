import Testing

@testable import Trainer

@Suite("Layers one after the other")
struct SequentialTests {
    /// Passes values on, and keeps what it was asked for in backward.
    private final class Probe: Layer {
        let output: Shape
        let learns: Bool
        private(set) var wanted: [Bool] = []

        init(_ shape: Shape, learns: Bool) { (output, self.learns) = (shape, learns) }

        func forward(_ input: Matrix, _ pass: Pass) -> Matrix { input }

        func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) -> Matrix {
            wanted.append(wantsInput)
            return gradient
        }
    }

    @Test("no gradient is computed for what has no parameters before it, unless somebody wants it")
    func needlessGradients() throws {
        let shape = Shape(channels: 3)
        let probes = [false, true, false, true].map { Probe(shape, learns: $0) }
        let stack = Sequential(probes)
        let gradient = OwnedMatrix(2, 3, seed: 1)
        _ = try stack.backward(gradient.matrix, wantsInput: false, Pass())
        #expect(probes.map(\.wanted) == [[], [false], [true], [true]])
        _ = try stack.backward(gradient.matrix, wantsInput: true, Pass())
        #expect(probes.map(\.wanted) == [[true], [false, true], [true, true], [true, true]])
        #expect(!Flatten(shape).learns)
    }
}
