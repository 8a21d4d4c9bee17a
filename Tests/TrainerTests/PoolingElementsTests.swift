import Testing

@testable import Trainer

/// Against plain loops; and the same bits on every instruction set.
@Suite("Elements: pooling")
struct PoolingElementsTests {
    private static let poolings = [
        Pooling(height: 4, width: 6, window: 2, stride: 2), Pooling(height: 7, width: 5, window: 3, stride: 2),
        Pooling(height: 5, width: 5, window: 2, stride: 1), Pooling(height: 3, width: 4, window: 1, stride: 2),
        Pooling(height: 3, width: 3, window: 3, stride: 3),
    ]

    /// For each output, the inputs of its window, cell by cell.
    private func windows(_ pooling: Pooling, batch: Int, channels: Int) -> [[Int]] {
        var windows: [[Int]] = []
        for image in 0..<batch {
            for y in 0..<pooling.outputHeight {
                for x in 0..<pooling.outputWidth {
                    for channel in 0..<channels {
                        var cells: [Int] = []
                        for row in 0..<pooling.windowHeight {
                            for column in 0..<pooling.windowWidth {
                                let place =
                                    (image * pooling.height + y * pooling.stride + row) * pooling.width + x * pooling.stride + column
                                cells.append(place * channels + channel)
                            }
                        }
                        windows.append(cells)
                    }
                }
            }
        }
        return windows
    }

    @Test("the largest of each window, and its gradient", arguments: poolings, [1, 16, 19])
    func largest(pooling: Pooling, channels: Int) {
        let windows = windows(pooling, batch: 2, channels: channels)
        let inputs = OwnedMatrix(2 * pooling.height * pooling.width, channels, seed: 1)
        let values = inputs.values
        let outputRows = 2 * pooling.outputHeight * pooling.outputWidth
        let slopes = OwnedMatrix(outputRows, channels, seed: 2)
        let results = onEverySet { set in
            let (outputs, gradient) = (OwnedMatrix(outputRows, channels), OwnedMatrix(inputs.matrix.rows, channels))
            var choices = [UInt8](repeating: 99, count: outputs.matrix.count)
            // SAFETY: the choices outlive both calls.
            unsafe choices.withUnsafeMutableBufferPointer { choices in
                unsafe set.poolLargest(pooling, inputs.matrix, into: outputs.matrix, choices: choices)
                unsafe set.poolLargest(pooling, gradient: slopes.matrix, choices: choices, inputGradient: gradient.matrix)
            }
            return [outputs.values, gradient.values]
        }
        #expect(results[0] == windows.map { $0.map { values[$0] }.max()! })
        var gradient = [Float](repeating: 0, count: values.count)
        for (slope, cells) in zip(slopes.values, windows) { gradient[cells.max { values[$0] < values[$1] }!] += slope }
        #expect(relativeError(results[1], gradient.map(Double.init)) < 1e-6)
    }

    @Test("equal cells: the first; NaN wins over all")
    func ties() {
        let inputs = OwnedMatrix(8, 1) { [1, 1, 1, 1, 0, 5, .nan, 7][$0] }
        let outputs = OwnedMatrix(2, 1)
        var choices: [UInt8] = [9, 9]
        // SAFETY: the choices outlive the call.
        unsafe choices.withUnsafeMutableBufferPointer {
            unsafe Elements.chosen.poolLargest(
                Pooling(height: 2, width: 2, window: 2, stride: 2), inputs.matrix, into: outputs.matrix, choices: $0)
        }
        #expect(outputs.values[0] == 1 && outputs.values[1].isNaN && choices == [0, 2])
    }

    @Test("the mean of each window, and its gradient", arguments: poolings + [Pooling(wholeHeight: 7, width: 5)], [1, 16, 19])
    func mean(pooling: Pooling, channels: Int) {
        let windows = windows(pooling, batch: 2, channels: channels)
        let inputs = OwnedMatrix(2 * pooling.height * pooling.width, channels, seed: 3)
        let values = inputs.doubles
        let outputRows = 2 * pooling.outputHeight * pooling.outputWidth
        let slopes = OwnedMatrix(outputRows, channels, seed: 4)
        let results = onEverySet { set in
            let (outputs, gradient) = (OwnedMatrix(outputRows, channels), OwnedMatrix(inputs.matrix.rows, channels))
            set.poolMean(pooling, inputs.matrix, into: outputs.matrix)
            set.poolMean(pooling, gradient: slopes.matrix, inputGradient: gradient.matrix)
            return [outputs.values, gradient.values]
        }
        #expect(relativeError(results[0], windows.map { $0.reduce(0) { $0 + values[$1] } / Double($0.count) }) < 1e-6)
        var gradient = [Double](repeating: 0, count: inputs.matrix.count)
        for (slope, cells) in zip(slopes.doubles, windows) {
            for cell in cells { gradient[cell] += slope / Double(cells.count) }
        }
        #expect(relativeError(results[1], gradient) < 1e-6)
    }
}
