internal import Foundation
public import Gradients

/// One rank's part of a report.
public struct RankRecording: Sendable, Equatable, Codable {
    /// What is to be added to this rank's clock to have rank 0's.
    public var clockOffsetNanoseconds: Int64
    public var totals: RunTotals
    /// In detail, ascending; those of the same numbers on every rank.
    public var steps: [StepReport]

    public init(clockOffsetNanoseconds: Int64 = 0, totals: RunTotals, steps: [StepReport]) {
        self.clockOffsetNanoseconds = clockOffsetNanoseconds
        self.totals = totals
        self.steps = steps
    }
}

/// How the recordings of all ranks come to rank 0.
public enum Gathering {
    /// What all ranks give in detail together, and one rank, at most, in bytes.
    static let byteLimit = 64 << 20
    static let rankByteLimit = 8 << 20
    /// What all ranks give in one call together, and one rank, at most: the gathers run over the control plane, where signs of life must pass.
    static let callByteLimit = 16 << 20
    static let pieceByteLimit = 1 << 20

    /// Collective, in a few calls of `allGather`, whose number all ranks know after the second.
    /// - Parameters:
    ///   - stepLimit: steps in detail, at most; fewer where they would be more than 64 MiB together, or 8 MiB of a rank.
    ///   - allGather: gives every rank the bytes of all, in the order of ranks, such as `Communicator.allGather(_:label:)`. What it throws, a verdict
    ///     on a rank that died for instance, ends this.
    /// - Returns: by rank, on rank 0; nothing on the others.
    public static func gather(
        _ recording: StepRecording, rank: Int, clockOffsetNanoseconds: Int64 = 0, stepLimit: Int,
        allGather: (_ bytes: [UInt8], _ label: String) throws -> [[UInt8]]
    ) throws -> [RankRecording] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let held = recording.held
        let offer = StepOffer(
            stride: recording.stride, lastStep: held.last?.step ?? -1, slowest: recording.slowest.map(\.step),
            median: recording.median?.step,
            stepBytes: try held.max { $0.buckets.count < $1.buckets.count }.map { try encoder.encode($0).count } ?? 0)
        let offers = try allGather(Array(try encoder.encode(offer)), "report: what there is").map {
            try JSONDecoder().decode(StepOffer.self, from: Data($0))
        }
        let chosen = Set(StepChoice.steps(from: offers, limit: Self.stepLimit(stepLimit, offers)))
        let own = RankRecording(
            clockOffsetNanoseconds: clockOffsetNanoseconds, totals: recording.totals, steps: held.filter { chosen.contains($0.step) })
        let parts = try gatherInPieces(Array(try encoder.encode(own)), keeping: rank == 0, allGather)
        return try parts.map { try JSONDecoder().decode(RankRecording.self, from: Data($0)) }
    }

    /// Steps of equally many buckets differ in size by some digits: so the largest is taken for a quarter more.
    private static func stepLimit(_ wanted: Int, _ offers: [StepOffer]) -> Int {
        let budget = min(rankByteLimit, byteLimit / max(1, offers.count))
        let size = offers.map(\.stepBytes).max() ?? 0
        return min(wanted, budget / max(1, size + size / 4))
    }

    private static func gatherInPieces(
        _ bytes: [UInt8], keeping isKept: Bool, _ allGather: ([UInt8], String) throws -> [[UInt8]]
    ) throws -> [[UInt8]] {
        let sizes = try allGather(Array(String(bytes.count).utf8), "report: sizes").map { Int(String(decoding: $0, as: UTF8.self)) ?? 0 }
        let piece = min(pieceByteLimit, max(1, callByteLimit / sizes.count))
        var parts = isKept ? sizes.map { _ in [UInt8]() } : []
        for start in stride(from: 0, to: sizes.max() ?? 0, by: piece) {
            let own = start < bytes.count ? Array(bytes[start..<min(start + piece, bytes.count)]) : []
            let pieces = try allGather(own, "report: byte \(start)")
            if isKept { for (rank, part) in pieces.enumerated() { parts[rank] += part } }
        }
        return parts
    }
}
