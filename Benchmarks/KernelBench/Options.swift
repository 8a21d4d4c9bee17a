import Foundation
import Reduction

let usage = """
    usage: kernel-bench [--types T,...] [--operations O,...] [--shapes S,...] [--sets I,...] [--sizes BYTES,...] [--rounds R]

    Prints how many GB/s (1e9 bytes read and written) the element kernels move in a second of one core's time, in
    columns by the size of one array: medians of rounds that visit everything in turn.

      --types       float, double, half, bfloat16, int8, ..., uint64 (default: all)
      --operations  sum, avg, prod, min, max (default: all)
      --shapes      accumulate            a = a + b  (default)
                    new                   c = a + b
                    both                  a = b = a + b, as ranks of one machine do in each other's memory
                    copy                  c = a, of whatever type and operation
                    new-streaming, copy-streaming   the same, stored past the caches
      --sets        instruction sets (default: all that this processor has)
      --sizes       with K and M for 1024 and its square (default: 16K,1M,64M)
      --rounds      (default: 5)
      --help        this text
    """

/// What is done to arrays a, b and c.
enum Shape: String, CaseIterable {
    case accumulate
    case new
    case newStreaming = "new-streaming"
    case both
    case copy
    case copyStreaming = "copy-streaming"

    var isStreaming: Bool { self == .newStreaming || self == .copyStreaming }

    /// Arrays that a call reads and writes.
    var arraysMoved: Int {
        switch self {
        case .accumulate, .new, .newStreaming: 3
        case .both: 4
        case .copy, .copyStreaming: 2
        }
    }
}

/// A wrong option, and what would be right.
struct UsageError: Error, CustomStringConvertible {
    let description: String
}

struct Options {
    var types = ElementType.allCases
    var operations = ReductionOperation.allCases
    var shapes = [Shape.accumulate]
    var sets = InstructionSet.available
    var sizes = [16 << 10, 1 << 20, 64 << 20]
    var rounds = 5

    init(_ arguments: [String]) throws(UsageError) {
        var rest = arguments[...]
        while let option = rest.popFirst() {
            guard ["--types", "--operations", "--shapes", "--sets", "--sizes", "--rounds"].contains(option) else {
                throw UsageError(description: "unknown option \(option)")
            }
            guard let words = rest.popFirst()?.split(separator: ",").map(String.init), !words.isEmpty else {
                throw UsageError(description: "\(option) takes a value")
            }
            switch option {
            case "--types": types = try Self.pick(words, ElementType.allCases) { $0.description }
            case "--operations": operations = try Self.pick(words, ReductionOperation.allCases) { $0.description }
            case "--shapes": shapes = try Self.pick(words, Shape.allCases) { $0.rawValue }
            case "--sets": sets = try Self.pick(words, InstructionSet.available) { $0.description }
            case "--sizes":
                sizes = []
                for word in words { sizes.append(try Self.size(word)) }
            default:
                guard let number = Int(words[0]), number > 0, words.count == 1 else {
                    throw UsageError(description: "--rounds is a number from 1, not \(words.joined(separator: ","))")
                }
                rounds = number
            }
        }
    }

    private static func pick<T>(_ words: [String], _ all: [T], _ name: (T) -> String) throws(UsageError) -> [T] {
        var picked: [T] = []
        for word in words {
            guard let match = all.first(where: { name($0) == word }) else {
                throw UsageError(description: "`\(word)` is none of \(all.map(name).joined(separator: ", "))")
            }
            picked.append(match)
        }
        return picked
    }

    /// Whole cache lines, so that every type and every vector fits.
    private static func size(_ word: String) throws(UsageError) -> Int {
        let factor = word.hasSuffix("K") ? 1 << 10 : word.hasSuffix("M") ? 1 << 20 : 1
        guard let number = Int(factor == 1 ? word : String(word.dropLast())), (64...(1 << 30)).contains(number * factor),
            number * factor % 64 == 0
        else { throw UsageError(description: "a size is a multiple of 64 up to 1024M, not \(word)") }
        return number * factor
    }
}
