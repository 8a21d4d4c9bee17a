import Foundation

/// The table in the columns of nccl-tests, so that scripts written for them read it. Every other line begins with `#`.
enum Table {
    static func header(_ report: Report, timestamps: Bool) -> String {
        let (config, own) = (report.config, report.verbena)
        let step = config.stepFactor.map { "\($0)(factor)" } ?? "\(config.stepBytes ?? 0)(bytes)"
        let options = [
            "collective \(own.collective)", "algorithm \(own.algorithm ?? "auto")", own.queuePairs.map { "queue pairs \($0)" },
            own.dirty ? "dirty" : nil, own.buffers.map { "buffers of the \($0.rawValue)'s" },
        ]
        let (samples, units, places) = config.perIterTiming == .yes ? iterationHeadings : headings
        let stamp = timestamps ? " " + pad("timestamp", 19) : ""
        let form = timestamps ? " " + pad("%Y-%m-%d %H:%M:%S", 19) : ""
        return """
            # rdma-allreduce \(own.version) ranks \(own.ranks) fabric \(own.fabric) device \(own.device)
            # \(options.compactMap(\.self).joined(separator: " "))
            # minBytes \(config.minimumBytes) maxBytes \(config.maximumBytes) step: \(step) warmup iters: \(config.warmupIters) \
            iters: \(config.iterations) agg iters: \(config.aggregatedIterations) validation: \(config.validation)
            #
            # \(pad("", 10))  \(pad("", 12))  \(pad("", 8))  \(pad("", 6))  \(pad("", 6))\(places)
            \(line("#", ["size", "count", "type", "redop", "root"], samples))\(stamp)
            \(line("#", ["(B)", "(elements)", "", "", ""], units))\(form)
            """
    }

    static func row(_ row: Row, iterationsApart: Bool = false) -> String {
        let left = [pad("\(row.bytes)", 12), pad("\(row.count)", 12), pad(row.type, 8), pad(row.redop, 6), pad("\(row.root)", 6)]
        return left.joined(separator: "  ") + sample(row.outOfPlace, iterationsApart) + sample(row.inPlace, iterationsApart)
            + (row.timestamp.map { "  \($0)" } ?? "")
    }

    static func footer(_ report: Report) -> String {
        """
        # Out of bounds values : \(report.outOfBounds.count) \(report.outOfBounds.okay == .yes ? "OK" : "FAILED")
        # Avg bus bandwidth    : \(String(format: "%g", report.averageBusBandwidth.bandwidth))
        #
        """
    }

    /// A time in microseconds, in as many digits as tell something.
    static func time(_ microseconds: Double) -> String {
        let digits = microseconds >= 10_000 ? 0 : microseconds >= 1_000 ? 1 : 2
        return String(format: "%.\(digits)f", microseconds)
    }

    static func pad(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    // The columns of one place, their units, and what stands above both places.
    private static let headings = (
        ["time", "algbw", "busbw", "#wrong"], ["(us)", "(GB/s)", "(GB/s)", ""],
        "           out-of-place                       in-place"
    )
    private static let iterationHeadings = (
        headings.0 + ["i_min", "i_max", "i_p99", "i_cv%"], headings.1 + ["(us)", "(us)", "(us)", "(%)"],
        "              out-of-place (+ per-iteration)                                in-place (+ per-iteration)"
    )
    private static let widths = [7, 6, 6, 6, 7, 7, 7, 7]

    private static func sample(_ sample: Sample, _ iterationsApart: Bool) -> String {
        var columns = [time(sample.microseconds), String(format: "%.2f", sample.algorithmBandwidth)]
        columns += [String(format: "%.2f", sample.busBandwidth), sample.wrong.map { "\($0)" } ?? "N/A"]
        if iterationsApart, let iterations = sample.iterations {
            columns += [iterations.minimum, iterations.maximum, iterations.p99].map(time) + [String(format: "%.2f", iterations.variation)]
        }
        return zip(columns, widths).map { "  " + pad($0, $1) }.joined()
    }

    private static func line(_ mark: String, _ left: [String], _ side: [String]) -> String {
        let columns = zip(left, [10, 12, 8, 6, 6]).map { pad($0, $1) }.joined(separator: "  ")
        let samples = "  " + zip(side, widths).map { pad($0, $1) }.joined(separator: "  ")
        return "\(mark) \(columns)\(samples)\(samples)"
    }
}

/// The further tables, in comment lines. They must not repeat the words by which scripts find the table of nccl-tests and its end:
/// `out-of-place`, `in-place`, `Out of bounds`, `bandwidth`, `busbw`, `FAILED`. Many take the last line that has them.
enum FurtherTables {
    /// A table whose columns are as wide as what stands in them, numbers to the right.
    static func aligned(_ title: [String], _ rows: [[String]]) -> String {
        let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.map { row in "#   " + zip(row, widths).map { Table.pad($0, $1) }.joined(separator: "  ") }
        return (title.map { "# \($0)" } + lines + ["#"]).joined(separator: "\n")
    }

    static func percentiles(_ results: [Row]) -> String {
        let rows = places(of: results).compactMap { row, place, sample in
            sample.iterations.map { name(row) + [place] + [$0.minimum, $0.p50, $0.p95, $0.p99, $0.maximum].map(Table.time) }
        }
        return aligned(
            ["Times of iterations, each that of its slowest rank (us)"],
            [nameColumns + ["place", "min", "p50", "p95", "p99", "max"]] + rows)
    }

    static func stragglers(_ results: [Row]) -> String {
        let rows = places(of: results).compactMap { row, place, sample in
            sample.stragglers.map {
                name(row) + [place, "\($0.lastRank)", Table.time($0.lateMicroseconds), Table.time($0.lastWorkMicroseconds)]
                    + [Table.time($0.otherWorkMicroseconds), "\($0.slowestRank)", Table.time($0.slowerMicroseconds)]
            }
        }
        return aligned(
            [
                "Stragglers (us): who comes last to a barrier before each call, how long the others wait for it there, and how long rewriting",
                "the input took it and them; whose calls behind the barrier take longest, and by how much longer than the others'",
            ],
            [nameColumns + ["place", "last rank", "late", "its work", "others' work", "slowest rank", "slower"]] + rows)
    }

    static func overlap(_ results: [Row]) -> String {
        let rows = results.compactMap { row in
            row.overlap.map {
                name(row) + [Table.time($0.overall), Table.time($0.compute), Table.time($0.pureCommunication)]
                    + [String(format: "%.2f", $0.overlapPercent)]
            }
        }
        return aligned(
            ["Overlap of asynchronous operations with computation, out of place, averages over ranks"],
            [nameColumns + ["Overall(us)", "Compute(us)", "Pure Comm.(us)", "Overlap(%)"]] + rows)
    }

    static func explanation(_ results: [Row]) -> String {
        let rows = results.compactMap { row in
            row.explanation.map {
                name(row) + [$0.algorithm, $0.predictedMicroseconds.map(Table.time) ?? "N/A", Table.time(row.outOfPlace.microseconds)]
            }
        }
        let reasons = results.compactMap { row in row.explanation.map { "#   \(name(row).joined(separator: " ")): \($0.why)" } }
        let table = aligned(
            ["What was chosen for each size (us)"], [nameColumns + ["algorithm", "predicted", "measured out of place"]] + rows)
        return ([table, "# Why"] + reasons + ["#"]).joined(separator: "\n")
    }

    static func messageRate(_ rate: MessageRate) -> String {
        let figures = [rate.operationsPerSecond, rate.writesPerSecond, rate.writesPerCoreSecond].map { String(format: "%.0f", $0) }
        return aligned(
            ["Message rate: one-shot allreduces of 8 bytes, each a write to every other rank, \(rate.window) of them under way together"],
            [["operations/s", "writes/s a rank", "writes/s a core"], figures])
    }

    /// What the engine holds besides the caller's buffers, and what the processes really take.
    static func memory(_ memory: MemoryUse) -> String {
        let figures = [
            memory.receiveBufferBytes, memory.receiveBufferLimitBytes, memory.bufferBytes, memory.residentBytes, memory.sharedBytes,
        ]
        return aligned(
            ["Memory (bytes a rank): the engine's own and its limit, this run's buffers, what is resident, program included, and shared"],
            [["receive", "limit", "buffers", "resident", "shared"], figures.map { $0.map(String.init) ?? "N/A" }])
    }

    private static let nameColumns = ["size", "type", "redop", "root"]

    private static func name(_ row: Row) -> [String] { ["\(row.bytes)", row.type, row.redop, "\(row.root)"] }

    private static func places(of results: [Row]) -> [(Row, String, Sample)] {
        results.flatMap { [($0, "out", $0.outOfPlace), ($0, "in", $0.inPlace)] }
    }
}
