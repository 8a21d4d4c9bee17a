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
                    encode-F, decode-F    of float in a wire format F: bf16, fp16 or int8; SIZE is that of the floats
                    keep-F                encode-F that adds a residual and keeps what is lost
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
    case encodeBFloat16 = "encode-bf16"
    case encodeFloat16 = "encode-fp16"
    case encodeInt8 = "encode-int8"
    case keepBFloat16 = "keep-bf16"
    case keepFloat16 = "keep-fp16"
    case keepInt8 = "keep-int8"
    case decodeBFloat16 = "decode-bf16"
    case decodeFloat16 = "decode-fp16"
    case decodeInt8 = "decode-int8"

    var isStreaming: Bool { self == .newStreaming || self == .copyStreaming }

    /// Nil where no elements are encoded or decoded.
    var wire: WireFormat? {
        switch self {
        case .encodeBFloat16, .keepBFloat16, .decodeBFloat16: .bfloat16
        case .encodeFloat16, .keepFloat16, .decodeFloat16: .float16
        case .encodeInt8, .keepInt8, .decodeInt8: .int8
        default: nil
        }
    }

    var keeps: Bool { [.keepBFloat16, .keepFloat16, .keepInt8].contains(self) }
    var decodes: Bool { [.decodeBFloat16, .decodeFloat16, .decodeInt8].contains(self) }

    /// Bytes that a call reads and writes.
    func bytesMoved(byteCount: Int) -> Int {
        if let wire { return (keeps ? 3 : 1) * byteCount + wire.byteCount(of: byteCount / 4) }
        return switch self {
        case .both: 4 * byteCount
        case .copy, .copyStreaming: 2 * byteCount
        default: 3 * byteCount
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
