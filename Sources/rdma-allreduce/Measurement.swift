import Foundation
import Verbena

/// What one size took, and whether it was right; averaged over ranks.
struct Sample: Codable, Equatable {
    var microseconds: Double
    /// Buffer size over time, in 1e9 bytes a second.
    var algorithmBandwidth: Double
    /// `algorithmBandwidth` times 2(n-1)/n: what the links carried, comparable over any number of ranks.
    var busBandwidth: Double
    /// Elements that were not right, summed over ranks; absent without a check.
    var wrong: Int?
}

/// One line of the table.
struct Row: Codable, Equatable {
    var bytes: Int
    var count: Int
    var type: String
    var redop: String
    var root: Int
    var outOfPlace: Sample
    var inPlace: Sample
}

/// Measures and checks allreduce on buffers of one element type. Every rank runs the same.
struct Measurement<E: Element & BinaryFloatingPoint> {
    let communicator: Communicator
    let operation: ReductionOperation
    let iterations: Int
    let warmups: Int
    let isChecked: Bool
    let source: Buffer<E>
    let target: Buffer<E>

    init(
        _ communicator: Communicator, operation: ReductionOperation, mostElements: Int, iterations: Int, warmups: Int, isChecked: Bool
    ) throws(VerbenaError) {
        self.communicator = communicator
        self.operation = operation
        self.iterations = iterations
        self.warmups = warmups
        self.isChecked = isChecked
        source = try communicator.allocate(E.self, count: mostElements)
        target = try communicator.allocate(E.self, count: mostElements)
    }

    func row(count: Int) throws -> Row {
        Row(
            bytes: count * MemoryLayout<E>.stride, count: count, type: "\(E.elementType)", redop: "\(operation)", root: -1,
            outOfPlace: try sample(count: count, copies: true), inPlace: try sample(count: count, copies: false))
    }

    /// Out of place, the input is copied into the result's buffer first, and the copy is part of the time.
    private func sample(count: Int, copies: Bool) throws -> Sample {
        // SAFETY: the buffers live in this value and are the caller's between collectives.
        unsafe Pattern.fill(UnsafeMutableBufferPointer(rebasing: target.elements[..<count]), rank: communicator.rank)
        unsafe Pattern.fill(UnsafeMutableBufferPointer(rebasing: source.elements[..<count]), rank: communicator.rank)
        try communicator.barrier(label: "size \(count)")
        for _ in 0..<warmups { try exchange(count: count, copies: copies) }
        let clock = ContinuousClock()
        let start = clock.now
        for _ in 0..<iterations { try exchange(count: count, copies: copies) }
        let seconds = (clock.now - start) / .seconds(1) / Double(max(1, iterations))
        let wrong = isChecked ? try check(count: count, copies: copies) : nil
        return try combine(seconds: seconds, wrong: wrong, bytes: count * MemoryLayout<E>.stride)
    }

    private func exchange(count: Int, copies: Bool) throws {
        if copies {
            // SAFETY: both buffers have at least `count` elements and do not overlap; between collectives they are ours.
            unsafe target.elements.baseAddress!.update(from: source.elements.baseAddress!, count: count)
        }
        try communicator.allreduce(target, count: count, operation)
    }

    /// One more exchange, untimed, on fresh input.
    private func check(count: Int, copies: Bool) throws -> Int {
        // SAFETY: as above.
        let elements = unsafe UnsafeMutableBufferPointer(rebasing: target.elements[..<count])
        if copies {
            // The copy must bring the input: were it left out, this would show.
            unsafe elements.update(repeating: .nan)
        } else {
            unsafe Pattern.fill(elements, rank: communicator.rank)
        }
        try exchange(count: count, copies: copies)
        return unsafe Pattern.wrongCount(UnsafeBufferPointer(elements), worldSize: communicator.worldSize, operation: operation)
    }

    private func combine(seconds: Double, wrong: Int?, bytes: Int) throws -> Sample {
        let all = try communicator.allGather(Array("\(seconds) \(wrong ?? 0)".utf8), label: "times").map { bytes in
            let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
            return (Double(words[0]) ?? .nan, Int(words[1]) ?? 0)
        }
        let average = all.reduce(0) { $0 + $1.0 } / Double(all.count)
        let bandwidth = average > 0 ? Double(bytes) / average / 1e9 : 0
        let ranks = Double(communicator.worldSize)
        return Sample(
            microseconds: average * 1e6, algorithmBandwidth: bandwidth, busBandwidth: bandwidth * 2 * (ranks - 1) / ranks,
            wrong: wrong == nil ? nil : all.reduce(0) { $0 + $1.1 })
    }
}
