import Simulation
import Testing

/// Virtual time against what is known: docs/SIMULATION.md derives the bounds.
@Suite struct TimingTests {
    /// One chunk a segment and hop: nothing overlaps, and the formula of the literature holds.
    @Test(arguments: [2, 3, 4, 8, 16, 64]) func unpipelinedRingTakesWhatTheFormulaSays(ranks: Int) throws {
        // Segments below 64 KiB go as one chunk.
        var timed = TimedAllreduce(ranks: ranks, byteCount: ranks * 40_000)
        timed.algorithm = .ring
        let result = try timed.run()
        try #require(result.chunks == 1 && result.rounds == 1)
        // The formula leaves out the invitation that opens the ring, and the last acknowledgement.
        let wanted = timed.formulaNanoseconds + 2 * Double(timed.latencyNanoseconds)
        #expect(abs(Double(result.virtualNanoseconds) / wanted - 1) < 0.05)
    }

    /// Pipelined, adding hides behind the wire; the least that is possible is the wire's time alone. Where a segment is one chunk, it is the formula.
    @Test(arguments: [2, 4, 8, 16, 32, 64], [1, 10, 30, 100]) func pipelinedRingTakesWhatTheWireTakes(ranks: Int, megabytes: Int) throws {
        var timed = TimedAllreduce(ranks: ranks, byteCount: megabytes * 1_000_000)
        timed.algorithm = .ring
        let result = try timed.run()
        let nanoseconds = Double(result.virtualNanoseconds)
        #expect(abs(nanoseconds / timed.pipelinedNanoseconds(result) - 1) < 0.05)
        #expect(nanoseconds > 2 * Double(ranks - 1) / Double(ranks) * Double(timed.byteCount) / timed.bytesPerNanosecond)
        if result.chunks == 1 {
            #expect(abs((nanoseconds - 2 * Double(timed.latencyNanoseconds)) / timed.formulaNanoseconds - 1) < 0.05)
        } else {
            #expect(0.78...0.92 ~= nanoseconds / timed.formulaNanoseconds)
        }
    }

    /// Halving and doubling move no more than a ring, in 2 log2 N messages in a row; pieces keep the links busy, windows cost their rounds again.
    @Test(arguments: [8, 16, 64], [1, 10, 30]) func pairsTakeWhatTheWireTakes(ranks: Int, megabytes: Int) throws {
        var timed = TimedAllreduce(ranks: ranks, byteCount: megabytes * 1_000_000)
        let result = try timed.run()
        try #require(result.algorithm == .halvingDoubling)
        timed.algorithm = .halvingDoubling
        let (nanoseconds, rounds) = (Double(result.virtualNanoseconds), Double(ranks.trailingZeroBitCount))
        let wire = 2 * Double(ranks - 1) / Double(ranks) * Double(timed.byteCount) / timed.bytesPerNanosecond
        let latencies = Double(result.rounds) * (2 * rounds + 2) * Double(timed.latencyNanoseconds)
        #expect(nanoseconds > wire && nanoseconds < 1.15 * wire + latencies, "\(nanoseconds / wire)")
        timed.algorithm = .ring
        if ranks >= 64, megabytes == 1 { #expect(try timed.run().virtualNanoseconds > 2 * result.virtualNanoseconds) }
    }

    @Test func timingAloneIsTheSameAsWithBytes() throws {
        for (ranks, perMachine, bytes) in [(2, 1, 1_000_000), (5, 1, 300_000), (8, 1, 700_000), (8, 2, 500_000), (12, 4, 100_000)] {
            var timed = TimedAllreduce(ranks: ranks, byteCount: bytes)
            timed.ranksPerNode = perMachine
            let without = try timed.run()
            timed.movesBytes = true
            #expect(try timed.run().virtualNanoseconds == without.virtualNanoseconds)
        }
    }
}

extension TimedAllreduce {
    /// The formula with P chunks a segment in flight: a rank adds a chunk while the next one comes in, so that a hop costs the slower of both, or where
    /// P chunks are too few to fill the way, the way itself. docs/SIMULATION.md derives it.
    fileprivate func pipelinedNanoseconds(_ result: Result) -> Double {
        let (others, segment) = (Double(ranks - 1), Double(byteCount) / Double(ranks))
        let chunks = Double(result.chunks * result.rounds)
        let chunk = segment / chunks
        let (wire, add) = (chunk / bytesPerNanosecond, chunk * reduceNanosecondsPerByte)
        let latency = Double(latencyNanoseconds)
        // A chunk's way over one hop, and P chunks one after the other: what is longer sets the pace of a hop.
        let reducing = max(Double(result.chunks) * max(wire, add), latency + wire + add)
        let gathering = max(Double(result.chunks) * wire, latency + wire)
        let hops = Double(result.rounds) * others * (reducing + gathering)
        // The invitation, and the last chunks of the last hop.
        return 2 * latency + hops + wire
    }
}
