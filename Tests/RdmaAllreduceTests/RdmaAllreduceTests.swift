import CommandLineSupport
import Testing
import Verbena

@testable import rdma_allreduce

@Suite struct SizeSweepTests {
    @Test(arguments: [
        (SizeSweep(least: 4, most: 64, step: 1, factor: 2, elementBytes: 4), [1, 2, 4, 8, 16]),
        (SizeSweep(least: 0, most: 16, step: 1, factor: 2, elementBytes: 4), [0, 1, 2, 4]),
        (SizeSweep(least: 0, most: 0, step: 1, factor: 2, elementBytes: 4), [0]),
        (SizeSweep(least: 10, most: 30, step: 10, factor: nil, elementBytes: 8), [1, 2, 3]),
        (SizeSweep(least: 1 << 62, most: .max, step: 1, factor: 4, elementBytes: 4), [1 << 60]),
    ])
    func sizes(sweep: SizeSweep, counts: [Int]) { #expect(sweep.elementCounts == counts) }
}

// SAFETY (whole file): the arrays outlive the closures that lend them.
@Suite struct PatternTests {
    private func reduced(ranks: Int, count: Int, operation: ReductionOperation) -> [Float] {
        (0..<count).map { index in
            let sum = Float((0..<ranks).reduce(0) { $0 + Pattern.value(rank: $1, index: index) })
            return operation == .average ? sum / Float(ranks) : sum
        }
    }

    @Test(arguments: [1, 2, 3, 5, 64], ReductionOperation.allCases)
    func rightAnswersAreRight(ranks: Int, operation: ReductionOperation) {
        let answer = reduced(ranks: ranks, count: 1000, operation: operation)
        #expect(unsafe answer.withUnsafeBufferPointer { unsafe Pattern.wrongCount($0, worldSize: ranks, operation: operation) } == 0)
    }

    @Test func everyWrongElementIsCounted() {
        var answer = reduced(ranks: 3, count: 1000, operation: .sum)
        answer[0] += 1
        answer[500] = .nan
        answer[999] = -answer[999] + 0.5
        #expect(unsafe answer.withUnsafeBufferPointer { unsafe Pattern.wrongCount($0, worldSize: 3, operation: .sum) } == 3)
        // What a rank that took no part in the reduction would show: its own input.
        var input = [Float](repeating: 0, count: 1000)
        unsafe input.withUnsafeMutableBufferPointer { unsafe Pattern.fill($0, rank: 1) }
        #expect(unsafe input.withUnsafeBufferPointer { unsafe Pattern.wrongCount($0, worldSize: 3, operation: .sum) } > 500)
    }
}

@Suite struct TableTests {
    /// As a script written for nccl-tests reads it: thirteen columns by white space, comments after `#`.
    @Test func rowsHaveTheColumnsOfNCCLTests() {
        let sample = Sample(microseconds: 12.345, algorithmBandwidth: 1.5, busBandwidth: 2.25, wrong: 0)
        let unchecked = Sample(microseconds: 123456, algorithmBandwidth: 1.5, busBandwidth: 2.25, wrong: nil)
        let row = Row(bytes: 4096, count: 1024, type: "float", redop: "sum", root: -1, outOfPlace: sample, inPlace: unchecked)
        let columns = Table.row(row).split(separator: " ").map(String.init)
        #expect(columns == ["4096", "1024", "float", "sum", "-1", "12.35", "1.50", "2.25", "0", "123456", "1.50", "2.25", "N/A"])
    }

    @Test func footerSaysWhetherAllWasRight() {
        let settings = Report.Settings(
            version: "", ranks: 2, fabric: "shm", device: "memory", minimumBytes: 0, maximumBytes: 0, iterations: 1, warmupIterations: 0,
            landingBytes: 0)
        #expect(Table.footer(Report(config: settings, averageBusBandwidth: 1.25)).contains("# Out of bounds values : 0 OK"))
        #expect(Table.footer(Report(config: settings, outOfBounds: 3)).contains("# Out of bounds values : 3 FAILED"))
    }
}

@Suite struct OptionTests {
    @Test(arguments: [
        ["-f", "1"], ["-i", "0"], ["-b", "64", "-e", "32"], ["-n", "-1"], ["-c", "2"], ["-d", "float128"], ["-o", "xor"], ["-b", "12Q"],
        ["--bogus"],
        ["--ranks", "0"],
    ])
    func mistakesAreUsageErrorsWithARemedy(arguments: [String]) {
        #expect {
            _ = try parse(RdmaAllreduce.self, arguments)
        } throws: {
            let failure = $0 as? Failure
            return failure?.status == ExitStatus.usage && failure?.description.contains("--help") == true
        }
    }

    @Test func optionsOfNCCLTestsAreKnown() throws {
        let arguments = "-b 8 -e 1M -f 2 -n 5 -w 2 -c 0 -d double -o avg".split(separator: " ").map(String.init)
        let command = try #require(try parse(RdmaAllreduce.self, arguments) as? RdmaAllreduce)
        #expect(command.least.value == 8 && command.most?.value == 1 << 20 && command.factor == 2)
        #expect(command.iterations == 5 && command.warmups == 2 && command.checks == 0)
        #expect(command.type == .float64 && command.operation == .average)
    }
}
