import Foundation
import Testing
import Verbena

/// The public face, on every fabric that this machine has: in `tools/test`, shared memory here and verbs on rxe.
// SAFETY (whole file): buffers are read and written between collectives only, while their communicator is open.
@Suite(.serialized) struct CommunicatorTests {
    @Test(arguments: Fabrics.available, [1, 2, 3, 4, 5])
    func sumsAndAverages(fabric: FabricChoice, ranks: Int) throws {
        let outcomes = LocalRanks.run(ranks, fabric: fabric) { communicator in
            let buffer = try communicator.allocate(Double.self, count: 10_007)
            var bits: [UInt64] = []
            for (count, operation) in [(0, ReductionOperation.sum), (1, .sum), (3, .average), (10_007, .sum), (4_099, .average)] {
                for index in 0..<count { unsafe buffer.elements[index] = Double(index * (communicator.rank + 1)) * 0.1 }
                try communicator.allReduce(buffer, count: count, operation)
                for index in 0..<count {
                    var wanted = Double(index * ranks * (ranks + 1) / 2) * 0.1
                    if operation == .average { wanted /= Double(ranks) }
                    let value = unsafe buffer.elements[index]
                    guard abs(value - wanted) <= 1e-9 * max(1, abs(wanted)) else { throw Wrong("\(value) at \(index), wanted \(wanted)") }
                    bits.append(value.bitPattern)
                }
            }
            return bits
        }
        let first = try outcomes[0].get()
        for outcome in outcomes { #expect(try outcome.get() == first, "the same bits on every rank") }
    }

    /// The bits depend on the values, their number and that of the ranks, not on when; on what carries them only from 4 ranks on (see `RecursiveDoubling`).
    @Test(.enabled(if: Fabrics.hasDevice, "no RDMA device with an active port"))
    func fabricsGiveTheSameBits() throws {
        let results = try [FabricChoice.sharedMemory, .verbs, .verbs].map { fabric in
            try LocalRanks.run(3, fabric: fabric) { communicator in
                let buffer = try communicator.allocate(Float.self, count: 50_000)
                for index in 0..<50_000 { unsafe buffer.elements[index] = 1 / Float(index + 3 * communicator.rank + 1) }
                try communicator.allReduce(buffer, .average)
                return unsafe buffer.elements.map(\.bitPattern)
            }[1].get()
        }
        #expect(results[0] == results[1] && results[1] == results[2])
    }

    @Test func differentOperationsAreToldOnEveryRank() {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let buffer = try communicator.allocate(Float.self, count: 1000)
            try communicator.allReduce(buffer, count: communicator.rank == 0 ? 1000 : 999)
        }
        for outcome in outcomes { expectError(outcome, .disagreed, ["another operation"]) }
    }

    /// One in an operation, the other in a call over TCP: neither would end for ten minutes. `isStarted`: the caller waits for the progress thread;
    /// for the last of so many operations.
    @Test(arguments: [(false, 1), (true, 1), (false, 3)]) func whoWaitsForEachOtherInDifferentCallsIsTold(isStarted: Bool, operations: Int)
    {
        let outcomes = LocalRanks.run(3, fabric: .sharedMemory) { communicator in
            let buffer = try communicator.allocate(Float.self, count: 1000)
            let buffers = try (1..<operations).map { _ in try communicator.allocate(Float.self, count: 1000) }
            try communicator.allReduce(buffer)
            if communicator.rank == 1 {
                try communicator.barrier(label: "end of epoch")
                return
            }
            let before = try buffers.map { try communicator.start(.allReduce, $0, count: 1000) }
            defer { for pending in before { try? pending.wait() } }
            if isStarted {
                try communicator.start(.allReduce, buffer, count: 1000).wait()
            } else {
                try communicator.allReduce(buffer)
            }
        }
        for outcome in outcomes {
            expectError(
                outcome, .disagreed, ["waits for rank 1 in allreduce", "in gather \"end of epoch\"", "same order"])
            #expect((errorOf(outcome) as? VerbenaError)?.rank == 1)
        }
    }

    @Test(arguments: Fabrics.available) func lostRankIsTheSameVerdictForAll(fabric: FabricChoice) {
        let outcomes = LocalRanks.run(4, fabric: fabric) { communicator in
            let buffer = try communicator.allocate(Float.self, count: 100_000)
            for step in 0..<1_000_000 {
                if communicator.rank == 2, step == 3 { throw Wrong("plays dead") }
                try communicator.allReduce(buffer)
            }
        }
        for rank in [0, 1, 3] {
            expectError(outcomes[rank], .left, ["rank 2", "allreduce", "it took leave while others still needed it"])
            #expect((errorOf(outcomes[rank]) as? VerbenaError)?.rank == 2)
        }
    }

    @Test func abortTellsTheOthersWhy() {
        let outcomes = LocalRanks.run(3, fabric: .sharedMemory) { communicator in
            if communicator.rank == 1 {
                communicator.abort(reason: "its data is missing")
                throw Wrong("aborted")
            }
            try communicator.barrier(label: "wait")
        }
        for rank in [0, 2] { expectError(outcomes[rank], .aborted, ["rank 1", "its data is missing"]) }
    }

    @Test func differentOptionsAreToldOnEveryRank() {
        let differ: @Sendable (inout Configuration, Int) -> Void = { if $1 == 1 { $0.channelsPerPeer = 2 } }
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory, configure: differ) { _ in }
        for outcome in outcomes { expectError(outcome, .configuration, ["channels", "same options"]) }
    }

    @Test func loadedCostsChooseAndMustAgree() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).json").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        // By these a message costs nothing that counts beside a byte: gathering everyone's part is dear.
        let costs = Costs(near: .init(latency: 0.001, perByte: 100), far: .init(latency: 1, perByte: 1), reducePerByte: 1)
        try JSONEncoder().encode(costs).write(to: URL(fileURLWithPath: file))
        let give: @Sendable (inout Configuration, Int) -> Void = { configuration, _ in configuration.costsFile = file }
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory, configure: give) { communicator in
            (communicator.costs, communicator.explain(.allReduce, byteCount: 4096, type: .float32).predictedMicroseconds)
        }
        for outcome in outcomes {
            let (loaded, predicted) = try outcome.get()
            #expect(loaded == costs && predicted > 4096)
        }
        let giveOne: @Sendable (inout Configuration, Int) -> Void = { if $1 == 1 { $0.costsFile = file } }
        let one = LocalRanks.run(2, fabric: .sharedMemory, configure: giveOne) { _ in }
        for outcome in one { expectError(outcome, .configuration, ["other costs", "VERBENA_COSTS"]) }
        for text in ["{}", #"{"near":{"latency":0,"perByte":1},"far":{"latency":1,"perByte":1},"reducePerByte":1}"#] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: file))
            let bad = LocalRanks.run(1, fabric: .sharedMemory, configure: give) { _ in }
            expectError(bad[0], .configuration, ["no table of costs", "--save-costs"])
        }
    }

    @Test func differentNumbersOfDevicesAreToldOnEveryRank() {
        let differ: @Sendable (inout Configuration, Int) -> Void = { $0.devicesPerRank = $1 + 1 }
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory, configure: differ) { _ in }
        for outcome in outcomes { expectError(outcome, .configuration, ["1 device per rank", "2 devices per rank", "same options"]) }
    }

    @Test func differentMemoryIsToldOnEveryRank() {
        let outcomes = LocalRanks.run(3, fabric: .sharedMemory) { communicator in
            if communicator.rank == 1 {
                _ = try communicator.allocate(Double.self, count: 100)
            } else {
                _ = try communicator.allocate(Float.self, count: 100)
            }
        }
        for outcome in outcomes { expectError(outcome, .disagreed, ["rank 0 100 float", "rank 1 100 double"]) }
    }

    @Test(arguments: [Int.max / 8, Int.max / 2, -1]) func impossibleMemoryIsAnError(count: Int) {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            _ = try communicator.allocate(Float.self, count: count)
        }
        for outcome in outcomes { #expect(errorOf(outcome) is VerbenaError, "\(outcome)") }
    }

    @Test func verbsWithoutDeviceNamesTheRemedy() throws {
        var configuration = try Configuration(fabric: .verbs, devices: ["none0"], environment: [:])
        configuration.environment = [:]
        #expect { try configuration.checkFabric() } throws: { "\($0)".contains("none0") }
        #expect { try Communicator.join(configuration) } throws: { ($0 as? VerbenaError)?.cause == .resource }
    }

    @Test func environmentIsChecked() throws {
        #expect(throws: VerbenaError.self) { try Configuration(environment: ["VERBENA_FABRIC": "carrier-pigeon"]) }
        for number in ["0", "17", "two", "2 "] {
            #expect(throws: VerbenaError.self) { try Configuration(environment: ["VERBENA_DEVICES_PER_RANK": number]) }
        }
        for (number, count) in ["2": 2, "16": 16, "": 1] {
            #expect(try Configuration(environment: ["VERBENA_DEVICES_PER_RANK": number]).devicesPerRank == count)
        }
        #expect { try Communicator.join(Configuration(environment: ["RANK": "4", "WORLD_SIZE": "4"])) } throws: {
            ($0 as? VerbenaError)?.cause == .configuration
        }
    }

    @Test func closedCommunicatorRefuses() throws {
        let communicator = try Communicator.join(Configuration(environment: [:]))
        let buffer = try communicator.allocate(Float.self, count: 4)
        try communicator.close()
        try communicator.close()
        #expect(throws: VerbenaError.self) { try communicator.allReduce(buffer) }
        #expect(throws: VerbenaError.self) { try communicator.allocate(Float.self, count: 4) }
    }
}

struct Wrong: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}

func errorOf<R>(_ outcome: Result<R, any Error>) -> (any Error)? {
    if case .failure(let error) = outcome { return error }
    return nil
}

/// The outcome is a `VerbenaError` of this cause, in one line that has all these words.
func expectError<R>(
    _ outcome: Result<R, any Error>, _ cause: VerbenaError.Cause, _ words: [String], at location: SourceLocation = #_sourceLocation
) {
    guard let error = errorOf(outcome) as? VerbenaError else {
        Issue.record("no VerbenaError but \(outcome)", sourceLocation: location)
        return
    }
    #expect(error.cause == cause, "\(error)", sourceLocation: location)
    for word in words { #expect(error.message.contains(word), "\(error)", sourceLocation: location) }
    #expect(!error.message.contains("\n"), sourceLocation: location)
}
