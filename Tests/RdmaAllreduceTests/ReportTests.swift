import Foundation
import Testing
import Verbena

@testable import rdma_allreduce

private func sample(_ bus: Double, wrong: Int? = 0) -> Sample {
    Sample(microseconds: 12.345, algorithmBandwidth: 1.5, busBandwidth: bus, wrong: wrong)
}

private func row(_ bytes: Int, type: String = "float", outOfPlace: Sample = sample(2.25), inPlace: Sample = sample(1.25)) -> Row {
    Row(bytes: bytes, count: bytes / 4, type: type, redop: "sum", root: -1, outOfPlace: outOfPlace, inPlace: inPlace)
}

private func report(_ results: [Row]) -> Report {
    var report = Report(
        config: .init(
            version: "1", collective: "allreduce", ranks: 2, fabric: "shm", device: "a<b&c", minimumBytes: 4, maximumBytes: 64,
            stepBytes: 8, iterations: 20, warmupIterations: 1, aggregatedIterations: 1, checkIterations: 1, average: .average,
            dirty: false, landingBytes: 1, environment: [:]),
        results: results)
    report.summarize()
    return report
}

@Suite struct TableTests {
    /// As a script written for nccl-tests reads it: thirteen columns by white space, comments after `#`.
    @Test func rowsHaveTheColumnsOfNCCLTests() {
        let unchecked = Sample(microseconds: 123456, algorithmBandwidth: 1.5, busBandwidth: 2.25, wrong: nil)
        var row = row(4096, inPlace: unchecked)
        let columns = ["4096", "1024", "float", "sum", "-1", "12.35", "1.50", "2.25", "0", "123456", "1.50", "2.25", "N/A"]
        #expect(Table.row(row).split(separator: " ").map(String.init) == columns)
        row.timestamp = "2026-01-02 03:04:05"
        #expect(Table.row(row).split(separator: " ").map(String.init) == columns + ["2026-01-02", "03:04:05"])
    }

    @Test func headersAreThoseOfNCCLTests() {
        let lines = Table.header(report([]).config, timestamps: true).split(separator: "\n").map(String.init)
        #expect(lines.allSatisfy { $0.hasPrefix("#") })
        let names = "# size count type redop root time algbw busbw #wrong time algbw busbw #wrong timestamp"
        #expect(lines.contains { $0.split(separator: " ").joined(separator: " ") == names })
        #expect(lines.contains { $0.contains("step: 8(bytes) warmup iters: 1 iters: 20 agg iters: 1 validation: 1") })
        #expect(!Table.header(report([]).config, timestamps: false).contains("timestamp"))
    }

    @Test func footerSaysWhetherAllWasRight() {
        let right = report([row(4), row(8)])
        #expect(Table.footer(right).contains("# Out of bounds values : 0 OK") && right.averageBusBandwidth == 1.75)
        let wrong = report([row(4, outOfPlace: sample(1, wrong: 2)), row(8, inPlace: sample(1, wrong: 1))])
        #expect(Table.footer(wrong).contains("# Out of bounds values : 3 FAILED"))
    }

    @Test("whatever else is told stands in comments, so that it disturbs no script")
    func furtherTables() throws {
        var row = row(64)
        row.outOfPlace.percentiles = Percentiles([1, 2, 3])
        row.inPlace.stragglers = Stragglers([.init(work: 1, wait: 9, call: 4), .init(work: 2, wait: 1, call: 3)])
        row.overlap = Overlap(overall: 125, compute: 100, pureCommunication: 100)
        row.explanation = Choosing(predictions: [(.ring, 3), (.tree, 9)], why: "instead of tree", demanded: nil)
        let rate = MessageRate(operations: 10, worldSize: 2, window: 1, seconds: 1, coreSeconds: 1)
        let tables = [
            FurtherTables.percentiles([row]), FurtherTables.stragglers([row]), FurtherTables.overlap([row]),
            FurtherTables.explanation([row]), FurtherTables.messageRate(rate), FurtherTables.memory(MemoryUse(landingBytes: 1)),
        ]
        #expect(tables.allSatisfy { $0.split(separator: "\n").allSatisfy { $0.hasPrefix("#") } })
        func words(_ table: String) -> [String] { table.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") } }
        #expect(words(tables[0]).contains("# 64 float sum -1 out-of-place 1.00 2.00 3.00 3.00 3.00"))
        #expect(words(tables[1]).contains("# 64 float sum -1 in-place 1 8.00 2.00 1.00 0 1.00"))
        #expect(words(tables[2]).contains("# size type redop root Overall(us) Compute(us) Pure Comm.(us) Overlap(%)"))
        #expect(words(tables[2]).contains("# 64 float sum -1 125.00 100.00 100.00 75.00"))
        #expect(words(tables[3]).contains("# 64 float sum -1 ring 3.00 12.35"))
        #expect(words(tables[3]).contains("# 64 float sum -1: instead of tree"))
    }
}

@Suite struct ExplanationTests {
    private let predictions: [(Algorithm, Double)] = [(.oneShot, 2), (.ring, 9.5)]

    @Test func whatTheModelChooses() {
        let choosing = Choosing(predictions: predictions, why: "small", demanded: nil)
        #expect(choosing.algorithm == "oneshot" && choosing.predictedMicroseconds == 2 && choosing.why == "small")
        #expect(choosing.alternatives == [.init(algorithm: "ring", predictedMicroseconds: 9.5)])
    }

    @Test func whatIsDemandedInstead() {
        let choosing = Choosing(predictions: predictions, why: "small", demanded: .ring)
        #expect(choosing.algorithm == "ring" && choosing.predictedMicroseconds == 9.5)
        #expect(choosing.why == "--algorithm demands it; possible otherwise: oneshot 2.00 us")
        #expect(Choosing(predictions: predictions, why: "", demanded: .tree).predictedMicroseconds == nil)
    }

    @Test func memoryAsTheKernelTellsIt() {
        #expect(MemoryUse.proportionalBytes("5583d0000000-7ffe rollup\nRss:   9 kB\nPss:   3 kB\nPss_Dirty: 1 kB\n") == 3072)
        #expect(MemoryUse.proportionalBytes("") == nil)
    }
}

@Suite struct JSONTests {
    @Test("the keys are these, and no others unless they were asked for")
    func keys() throws {
        let data = try JSONEncoder().encode(report([row(64)]))
        let whole = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(Set(whole.keys) == ["config", "results", "averageBusBandwidth", "outOfBounds"])
        let first = try #require((whole["results"] as? [[String: Any]])?.first)
        #expect(Set(first.keys) == ["bytes", "count", "type", "redop", "root", "outOfPlace", "inPlace"])
        let place = try #require(first["inPlace"] as? [String: Any])
        #expect(Set(place.keys) == ["microseconds", "algorithmBandwidth", "busBandwidth", "wrong"])
    }

    @Test("of the environment only what changes the measurement is told")
    func environment() {
        let variables = [
            "VERBENA_FABRIC": "shm", "VERBENA_SECRET": "hush", "VERBENA_LAUNCHER": "1", "PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "hush",
        ]
        #expect(Report.environment(variables) == ["VERBENA_FABRIC": "shm"])
    }
}

@Suite struct PlotTests {
    @Test(arguments: [(0, [0, 1]), (1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (7, [0, 2, 4, 6, 8]), (23, [0, 5, 10, 15, 20, 25])])
    func marksAreRoundNumbers(largest: Double, marks: [Double]) {
        let given = Plot.marks(upTo: largest)
        #expect(given.count == marks.count && zip(given, marks).allSatisfy { abs($0 - $1) < 1e-9 })
    }

    @Test func marksReachTheLargest() {
        for largest in stride(from: 0.003, to: 300, by: 0.37) {
            let marks = Plot.marks(upTo: largest)
            #expect(marks.last! >= largest && marks.count >= 3 && marks.count <= 12)
        }
    }

    @Test(arguments: [([4, 64], 2...6), ([5, 63], 2...6), ([1000], 9...10), ([1024], 10...11), ([], 0...1)])
    func theAxisHoldsAllSizes(sizes: [Int], exponents: ClosedRange<Int>) {
        #expect(Plot(report(sizes.map { row($0) })).exponents == exponents)
    }

    @Test func sizesInBinaryUnits() {
        #expect([1, 512, 1 << 10, 1 << 25, 1 << 30].map(Plot.size) == ["1", "512", "1K", "32M", "1G"])
    }

    @Test("a line for each type in each place; a size of 0 has no place on the axis")
    func lines() {
        let plot = Plot(report([row(0), row(4), row(64), row(4, type: "half"), row(64, type: "half")]))
        #expect(plot.lines.map(\.name) == ["float sum", "float sum", "half sum", "half sum"])
        #expect(plot.lines.map(\.isInPlace) == [false, true, false, true])
        #expect(plot.lines[0].points.map(\.bytes) == [4, 64] && plot.lines[0].points.map(\.bandwidth) == [2.25, 2.25])
        #expect(plot.lines[3].points.map(\.bandwidth) == [1.25, 1.25])
        let svg = plot.svg
        #expect(svg.components(separatedBy: "<polyline").count == 5 && svg.components(separatedBy: "<circle").count == 9)
        #expect(svg.contains("a&lt;b&amp;c") && svg.contains("Size (bytes)") && svg.contains("Bus bandwidth (GB/s)"))
        #expect(!svg.contains("nan") && !svg.contains("inf"))
    }

    @Test func nothingMeasuredIsAnEmptyPicture() {
        let svg = Plot(report([])).svg
        #expect(svg.contains("<svg") && !svg.contains("<polyline") && !svg.contains("nan"))
    }
}
