import Foundation
import Reduction

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

func padded(_ words: [String], _ widths: [Int]) -> String {
    zip(words, widths).map { word, width in
        let space = String(repeating: " ", count: max(0, abs(width) - word.count))
        return width < 0 ? word + space : space + word
    }.joined(separator: "  ")
}

func sizeName(_ bytes: Int) -> String {
    bytes % (1 << 20) == 0 ? "\(bytes >> 20)M" : bytes % (1 << 10) == 0 ? "\(bytes >> 10)K" : "\(bytes)"
}

/// Types one after the other, so that a line appears as soon as it is known; within a type, rounds visit all that is measured in turn.
func run(_ options: Options) {
    let bench = Bench(capacity: options.sizes.max() ?? 0)
    let widths = [-8, -4, -14, -8] + options.sizes.map { _ in 7 }
    print(padded(["type", "op", "shape", "set"] + options.sizes.map(sizeName), widths))
    for type in options.types {
        let lines = options.operations.flatMap { operation in
            options.shapes.flatMap { shape in
                options.sets.map { Measurement(type: type, operation: operation, shape: shape, set: $0) }
            }
        }
        var samples = lines.map { _ in options.sizes.map { _ in [Double]() } }
        for _ in 0..<options.rounds {
            for (size, bytes) in options.sizes.enumerated() {
                bench.fill(type)
                for line in lines.indices { samples[line][size].append(bench.measure(lines[line], byteCount: bytes)) }
            }
        }
        for (line, figures) in zip(lines, samples) {
            let words = [type.description, line.operation.description, line.shape.rawValue, line.set.description]
            print(padded(words + figures.map { String(format: "%.1f", median($0)) }, widths))
        }
    }
}

let arguments = Array(CommandLine.arguments.dropFirst())
if arguments.contains("--help") || arguments.contains("-h") {
    print(usage)
    exit(0)
}
do {
    run(try Options(arguments))
} catch {
    FileHandle.standardError.write(Data("kernel-bench: \(error); see --help\n".utf8))
    exit(2)
}
