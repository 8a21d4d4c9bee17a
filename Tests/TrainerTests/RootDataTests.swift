import Crypto
import Testing
import Verbena

@testable import Trainer

/// What rank 0 alone can read reaches every rank.
@Suite("Data from rank 0")
struct RootDataTests {
    @Test("bytes of rank 0 reach every rank, in pieces, as do its errors", arguments: [0, 1, 9_000_001])
    func rootBytes(count: Int) async throws {
        let wanted = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let found = try await onRanks(3) { communicator in
            try RootBytes.share(communicator, label: "test") { () throws(CheckpointError) in wanted }.get()
        }
        #expect(found.count == 3 && found.allSatisfy { $0 == wanted })
        let fault = CheckpointError(.missing, path: "a", expected: "b", found: "c", remedy: "d")
        let faults = try await onRanks(2) { communicator in
            try RootBytes.share(communicator, label: "test") { () throws(CheckpointError) in throw fault }
        }
        for result in faults { #expect(throws: fault) { try result.get() } }
    }

    /// Each split, read on rank 0 alone; what the ranks have of it.
    private static func spread(_ split: DataSplit, ranks: Int) async throws -> [DataSplit] {
        try await onRanks(ranks) { communicator in
            try DataSplit.fromRoot(communicator) { () throws(DataError) in
                #expect(communicator.rank == 0, "only rank 0 reads")
                return split
            }
        }
    }

    @Test("images, in more than one piece, grey and in colours", arguments: [1, 2, 3])
    func images(ranks: Int) async throws {
        let coloured = ImageDataset(
            rows: 2, columns: 3, channels: 3, pixels: (0..<90).map { UInt8($0) }, labels: [0, 1, 2, 9, 4])
        for split in [
            GeneratedDigits.split(seed: 1, trainingCount: 6_000, heldOutCount: 3),
            DataSplit(training: coloured, heldOut: coloured[0..<1], origin: "colours"),
        ] {
            let found = try await Self.spread(split, ranks: ranks)
            #expect(found.count == ranks)
            for found in found {
                #expect(Fingerprint.data(found) == Fingerprint.data(split) && found.origin == split.origin)
                #expect(found.training.input == split.training.input && found.heldOut.count == split.heldOut.count)
            }
        }
    }

    @Test("a text, with characters from everywhere")
    func text() async throws {
        let text = String(repeating: "Zäh\u{0}\"\\ \u{FFFD} \u{10FFFF}\u{FEFF}\r\n", count: 60)
        let split = try #require(TextDataset.split(text, context: 16, origin: "a text"))
        for found in try await Self.spread(split, ranks: 2) {
            let (own, other) = (try #require(split.training as? TextDataset), try #require(found.training as? TextDataset))
            #expect(other.characters == own.characters && other.context == 16)
            #expect(Fingerprint.data(found) == Fingerprint.data(split))
        }
    }

    @Test("what rank 0 cannot read, every rank is told alike")
    func faults() async throws {
        let fault = DataError(.truncated, path: "a", expected: "b", found: "c", remedy: "d")
        let errors = try await onRanks(3) { communicator in
            let error = #expect(throws: TrainingError.self) {
                try DataSplit.fromRoot(communicator) { () throws(DataError) in throw fault }
            }
            // All can go on together.
            try communicator.barrier()
            return error.map { "\($0)" }
        }
        #expect(errors == Array(repeating: "\(fault)", count: 3))
    }

    @Test("a data set of one's own, which nobody here can send, is an error of every rank")
    func ownKind() async throws {
        struct Nothing: Dataset {
            var count: Int { 0 }
            var classCount: Int { 2 }
            var labelsPerSample: Int { 1 }
            var input: Shape { Shape(channels: 1) }
            func load(_: ArraySlice<Int>, into _: Batch) {}
            func hash(into _: inout SHA256) {}
        }
        let errors = try await onRanks(2) { communicator in
            let error = #expect(throws: TrainingError.self) {
                try DataSplit.fromRoot(communicator) { () throws(DataError) in
                    DataSplit(training: Nothing(), heldOut: Nothing(), origin: "own")
                }
            }
            return error.map { "\($0)" } ?? ""
        }
        #expect(errors.allSatisfy { $0.contains("own: expected images or a text") && $0.contains("let every rank read it") })
    }
}
