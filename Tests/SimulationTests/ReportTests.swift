#if DEBUG
    import Collectives
    import Testing

    @testable import SimulatedFabric
    @testable import Simulation

    /// What is told of a failing seed, and that its last line shows the same fault again.
    @Suite struct ReportTests {
        private static let command = "verbena simulate check"

        /// Seeds that find a deliberate fault, the first few.
        private static func failing(_ limits: Limits, most: Int) -> [SeedReport] {
            var reports: [SeedReport] = []
            for seed in UInt64(1)...150 where reports.count < most {
                let report = Job.report(seed: seed, limits: limits)
                if report.finding != nil { reports.append(report) }
            }
            return reports
        }

        /// What the options of a report's last line ask for.
        private static func limits(_ replay: Substring, seed: UInt64) throws -> Limits {
            let start = "again: \(command) --seeds \(seed)..\(seed)"
            #expect(replay.hasPrefix(start))
            let words = replay.dropFirst(start.count).split(separator: " ")
            #expect(words.count % 2 == 0)
            var options: [Substring: Substring] = [:]
            for index in stride(from: 0, to: words.count, by: 2) { options[words[index]] = words[index + 1] }
            #expect(Set(options.keys).isSubset(of: ["--faults", "--shorten"]))
            let check = SimulationCheck(
                ranks: nil, faults: String(options["--faults"] ?? "all"), shortenings: String(options["--shorten"] ?? ""))
            return try #require(check).limits
        }

        private static func size(_ scenario: Scenario) -> Int {
            scenario.worldSize + scenario.faults.count + scenario.programs.reduce(0) { $0 + $1.operations.count }
        }

        private func expectReport(of failure: SeedReport, _ limits: Limits) throws {
            let (seed, wanted) = (failure.seed, try #require(failure.finding))
            let text = SimulationCheck(limits: limits).explain(seed: seed, command: Self.command)
            let lines = text.split(separator: "\n")
            #expect(lines.first?.hasPrefix("seed \(seed): \(wanted.kind.rawValue): ") == true, "\(text)")

            let replayed = try Self.limits(try #require(lines.last), seed: seed)
            var shorter = replayed
            shorter.mutation = limits.mutation
            #expect(shorter.faults == limits.faults)
            let (drawn, told) = (Scenario(seed: seed, limits: limits), Scenario(seed: seed, limits: shorter))
            #expect(Self.size(told) < Self.size(drawn) && told.worldSize <= drawn.worldSize && told.faults.count <= drawn.faults.count)
            #expect(text.contains("\n\(told)\n"), "the world of the replay is the one that is told")

            let again = Job.report(seed: seed, limits: shorter)
            let found = try #require(again.finding, "\(lines.last ?? "") finds nothing")
            #expect(found.isSameKind(as: wanted), "seed \(seed) found \(wanted), its replay \(found)")
            #expect(lines.first == "seed \(seed): \(found)")
            let events = found.trace.suffix(30)
            #expect(!events.isEmpty && text.contains("the last \(events.count) events:\n" + events.map { "    \($0)\n" }.joined()))
        }

        /// Without the demand for the same kind of finding, each but the first has a world that would be shortened to one that shows something else.
        @Test(arguments: [Mutation.uninvited, .earlyRelease, .slotTooFew, .swappedChunk, .missedCompletion])
        func aReportIsShortAndShowsTheSameAgain(mutation: Mutation) throws {
            let limits = Limits(mutation: mutation.rawValue)
            let failing = Self.failing(limits, most: 3)
            try #require(failing.count == 3)
            for failure in failing { try expectReport(of: failure, limits) }
        }

        /// Where the fault needs something to go wrong, that stays; and options of the first run are those of the second.
        @Test func theReplayKeepsWhatItTakes() throws {
            let disagreement = Limits(faults: [.disagreement, .pause], mutation: Mutation.ignoredSignature.rawValue)
            let failure = try #require(Self.failing(disagreement, most: 1).first)
            try expectReport(of: failure, disagreement)
            var few = Limits(ranks: 5, faults: [], mutation: Mutation.eagerSetTooFew.rawValue)
            try expectReport(of: try #require(Self.failing(few, most: 1).first), few)
            few.mutation = Mutation.earlyLeave.rawValue
            try expectReport(of: try #require(Self.failing(few, most: 1).first), few)
        }

        @Test func aSoundSeedIsSaidToBeSound() {
            #expect(SimulationCheck(limits: Limits()).explain(seed: 1, command: Self.command) == "seed 1: nothing wrong")
        }
    }
#endif
