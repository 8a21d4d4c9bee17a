import Foundation
import Testing
import Verbena

@testable import rdma_allreduce

private func sample(_ bus: Double, wrong: Int? = 0) -> Sample {
    Sample(microseconds: 12.345, algorithmBandwidth: 1.5, busBandwidth: bus, wrong: wrong)
}

private func row(_ bytes: Int, type: String = "float", outOfPlace: Sample = sample(2.25), inPlace: Sample = sample(1.25)) -> Row {
    Row(bytes: bytes, count: bytes / 4, type: type, redop: "sum", root: -1, outOfPlace: outOfPlace, inPlace: inPlace, iterations: 20)
}

private func report(_ results: [Row]) -> Report {
    var report = Report(
        startTime: "2026-01-02 03:04:05", args: ["rdma-allreduce", "-g", "1"],
        config: .init(
            minimumBytes: 4, maximumBytes: 64, stepBytes: 8, warmupIters: 1, iterations: 20, aggregatedIterations: 1, validation: 1),
        results: results,
        verbena: .init(
            version: "1", collective: "allreduce", ranks: 2, fabric: "shm", device: "a<b&c", average: .average, dirty: false,
            receiveBufferBytes: 1))
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
        let lines = Table.header(report([]), timestamps: true).split(separator: "\n").map(String.init)
        #expect(lines.allSatisfy { $0.hasPrefix("#") })
        let names = "# size count type redop root time algbw busbw #wrong time algbw busbw #wrong timestamp"
        #expect(lines.contains { $0.split(separator: " ").joined(separator: " ") == names })
        #expect(lines.contains { $0.contains("step: 8(bytes) warmup iters: 1 iters: 20 agg iters: 1 validation: 1") })
        #expect(!Table.header(report([]), timestamps: false).contains("timestamp"))
    }

    @Test("with -I 1 each place has four columns more, those of nccl-tests")
    func columnsOfIterations() {
        var report = report([])
        report.config.perIterTiming = .yes
        let lines = Table.header(report, timestamps: false).split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
        let place = "time algbw busbw #wrong i_min i_max i_p99 i_cv%"
        #expect(lines.contains("# size count type redop root \(place) \(place)"))
        #expect(lines.contains("# out-of-place (+ per-iteration) in-place (+ per-iteration)"))
        var row = row(4096)
        row.outOfPlace.iterations = IterationTimes([[1, 3]], skipping: 0)
        row.inPlace.iterations = IterationTimes([[5, 5]], skipping: 0)
        let columns = Table.row(row, iterationsApart: true).split(separator: " ").map(String.init)
        #expect(columns.count == 21 && Array(columns[9...12]) == ["1.00", "3.00", "3.00", "50.00"])
        #expect(Array(columns[17...20]) == ["5.00", "5.00", "5.00", "0.00"])
    }

    @Test func footerSaysWhetherAllWasRight() {
        let right = report([row(4), row(8)])
        #expect(Table.footer(right).contains("# Out of bounds values : 0 OK") && right.averageBusBandwidth.bandwidth == 1.75)
        let wrong = report([row(4, outOfPlace: sample(1, wrong: 2)), row(8, inPlace: sample(1, wrong: 1))])
        #expect(Table.footer(wrong).contains("# Out of bounds values : 3 FAILED"))
    }

    @Test("whatever else is told stands in comments, so that it disturbs no script")
    func furtherTables() throws {
        var row = row(64)
        row.outOfPlace.iterations = IterationTimes([[1, 2, 3]], skipping: 0)
        row.inPlace.stragglers = Stragglers([.init(work: 1, wait: 9, call: 4), .init(work: 2, wait: 1, call: 3)])
        row.overlap = Overlap(overall: 125, compute: 100, pureCommunication: 100)
        row.explanation = Choosing(predictions: [(.ring, 3), (.tree, 9)], why: "instead of tree", demanded: nil)
        let rate = MessageRate(operations: 10, worldSize: 2, window: 1, seconds: 1, coreSeconds: 1)
        let tables = [
            FurtherTables.percentiles([row]), FurtherTables.stragglers([row]), FurtherTables.overlap([row]),
            FurtherTables.explanation([row]), FurtherTables.messageRate(rate), FurtherTables.memory(MemoryUse(receiveBufferBytes: 1)),
        ]
        #expect(tables.allSatisfy { $0.split(separator: "\n").allSatisfy { $0.hasPrefix("#") } })
        let marks = ["out-of-place", "in-place", "Out of bounds", "bandwidth", "busbw", "algbw", "FAILED", "Rank"]
        #expect(marks.allSatisfy { mark in !tables.contains { $0.contains(mark) } })
        func words(_ table: String) -> [String] { table.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") } }
        #expect(words(tables[0]).contains("# 64 float sum -1 out 1.00 2.00 3.00 3.00 3.00"))
        #expect(words(tables[1]).contains("# 64 float sum -1 in 1 8.00 2.00 1.00 0 1.00"))
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
}

@Suite("the JSON of nccl-tests") struct JSONTests {
    private func written(_ report: Report) throws -> [String: Any] {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        let data = try encoder.encode(report)
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    @Test("has the keys of version 3, and ours under one of our own")
    func keys() throws {
        let whole = try written(report([row(64)]))
        #expect(
            Set(whole.keys) == [
                "version", "start_time", "args", "env", "nccl_version", "config", "results", "out_of_bounds", "average_bus_bandwidth",
                "errors",
                "end_time", "verbena",
            ])
        #expect(whole["version"] as? Int == 3 && whole["args"] as? [String] == ["rdma-allreduce", "-g", "1"])
        #expect((whole["errors"] as? [String])?.isEmpty == true)
        let config = try #require(whole["config"] as? [String: Any])
        #expect(
            Set(config.keys) == [
                "nthreads", "ngpus", "minimum_bytes", "maximum_bytes", "step_bytes", "warmup_iters", "iterations", "aggregated_iterations",
                "validation", "graph", "blocking_collectives", "per_iter_timing", "per_iter_skip", "parallel_init", "devices",
            ])
        let first = try #require((whole["results"] as? [[String: Any]])?.first)
        #expect(
            Set(first.keys) == [
                "size", "count", "type", "redop", "root", "out_of_place", "in_place", "actual_iterations", "experiment_name",
            ])
        #expect(first["size"] as? Int == 64 && first["root"] as? String == "    -1")
        let place = try #require(first["in_place"] as? [String: Any])
        #expect(Set(place.keys) == ["time", "alg_bw", "bus_bw", "nwrong"])
        #expect(place["bus_bw"] as? Double == 1.25 && place["nwrong"] as? Int == 0)
        let own = try #require(whole["verbena"] as? [String: Any])
        #expect(Set(own.keys) == ["version", "collective", "ranks", "fabric", "device", "average", "dirty", "receive_buffer_bytes"])
    }

    @Test("writes truth values as texts, and null where nothing was checked")
    func values() throws {
        let right = try written(report([row(64, outOfPlace: sample(1, wrong: nil))]))
        let config = try #require(right["config"] as? [String: Any])
        #expect(["blocking_collectives", "per_iter_timing", "parallel_init"].allSatisfy { config[$0] as? String == "false" })
        #expect((right["out_of_bounds"] as? [String: Any])?["okay"] as? String == "true")
        let average = try #require(right["average_bus_bandwidth"] as? [String: Any])
        #expect(average["bandwidth"] as? Double == 1.125 && average["okay"] as? String == "unchecked")
        let place = try #require((right["results"] as? [[String: Any]])?.first?["out_of_place"] as? [String: Any])
        #expect(place["nwrong"] is NSNull)
        let wrong = try written(report([row(64, outOfPlace: sample(1, wrong: 3))]))
        let bounds = try #require(wrong["out_of_bounds"] as? [String: Any])
        #expect(bounds["count"] as? Int == 3 && bounds["okay"] as? String == "false")
    }

    @Test("numbers the ranks of each host")
    func devices() throws {
        var report = report([])
        report.config.devices = [("a", 10), ("b", 20), ("a", 11)].enumerated().map { rank, process in
            Report.Device(rank: rank, pid: Int32(process.1), hostname: process.0, deviceInfo: "mlx5_0")
        }
        report.summarize()
        let devices = try #require((try written(report)["config"] as? [String: Any])?["devices"] as? [[String: Any]])
        #expect(devices.map { $0["device"] as? Int } == [0, 0, 1] && devices.map { $0["rank"] as? Int } == [0, 1, 2])
        #expect(devices.map { $0["hostname"] as? String } == ["a", "b", "a"] && devices.map { $0["pid"] as? Int } == [10, 20, 11])
        #expect(
            devices.allSatisfy { Set($0.keys) == ["rank", "group", "pid", "hostname", "device", "device_hex", "device_info"] })
    }

    @Test("has the times of each iteration where they were asked for")
    func iterations() throws {
        var row = row(64)
        row.inPlace.iterations = IterationTimes([[9, 2, 4], [1, 4, 3]], skipping: 1)
        let line = try #require((try written(report([row]))["results"] as? [[String: Any]])?.first)
        #expect(line["out_of_place_per_iter"] == nil)
        let times = try #require(line["in_place_per_iter"] as? [String: Any])
        #expect(
            Set(times.keys) == [
                "skipped_iterations", "min_us", "max_us", "avg_us", "p50_us", "p95_us", "p99_us", "stdev_us", "cv_pct", "times_us",
                "per_process_max_times_us",
            ])
        #expect(times["times_us"] as? [Double] == [9, 4, 4] && times["max_us"] as? Double == 4 && times["cv_pct"] as? Double == 0)
        #expect(times["per_process_max_times_us"] as? [[Double]] == [[9, 2, 4], [1, 4, 3]])
    }

    @Test("keeps what was asked for besides under our own key, a line for each of the table")
    func own() throws {
        var row = row(64)
        row.inPlace.stragglers = Stragglers([.init(work: 1, wait: 9, call: 4), .init(work: 2, wait: 1, call: 3)])
        let own = try #require(try written(report([row]))["verbena"] as? [String: Any])
        let lines = try #require(own["results"] as? [[String: Any]])
        #expect(lines.count == 1 && (lines[0]["in_place_stragglers"] as? [String: Any])?["last_rank"] as? Int == 1)
    }

    @Test("of the environment only what changes the measurement is told")
    func environment() {
        let variables = [
            "VERBENA_FABRIC": "shm", "VERBENA_SECRET": "hush", "VERBENA_LAUNCHER": "1", "PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "hush",
        ]
        #expect(Report.environment(variables) == ["VERBENA_FABRIC=shm"])
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
