import CommandLineSupport
import Verbena

/// The options that make the ranks' calls, and so have to be the same on all of them. Ranks that disagree would wait for each other in different calls.
struct OptionAgreement {
    struct Entry: Codable, Equatable {
        var option: String
        var value: String
    }

    /// By rank.
    let ranks: [[Entry]]

    /// The first difference from rank 0, in words; nil where there is none.
    var difference: String? {
        for (rank, entries) in ranks.enumerated() {
            for (own, first) in zip(entries, ranks[0]) where own != first {
                return "rank \(rank) was started with \(own.option) \(own.value), rank 0 with \(first.option) \(first.value)"
            }
            if entries.count != ranks[0].count { return "rank \(rank) was started with other options than rank 0" }
        }
        return nil
    }
}

extension RdmaAllreduce {
    /// Every value that has a say in what is called how often. Where results are written to and what rank 0 shows may differ.
    func agreedOptions(worldSize: Int) -> [OptionAgreement.Entry] {
        func text(_ isOn: Bool) -> String { isOn ? "on" : "off" }
        let values: [(String, String)] = [
            ("--collective", subject.collective.value.name), ("-d", subject.types.map(\.name).joined(separator: ",")),
            ("-o", subject.operations.map(\.name).joined(separator: ",")),
            ("-r", subject.roots(worldSize: worldSize).map(String.init).joined(separator: ",")),
            ("--algorithm", subject.algorithm?.value.name ?? "of its own choice"), ("-b", "\(sizes.least.value)"),
            ("-e", "\(sizes.maxBytes)"),
            sizes.factor.map { ("-f", "\($0)") } ?? ("-i", "\(sizes.step.value)"), ("-n", "\(timing.iterations)"),
            ("-w", "\(timing.warmups)"),
            ("-m", "\(timing.aggregated)"), ("-c", "\(timing.checks)"), ("-N", "\(timing.cycles)"), ("--dirty", text(timing.dirty)),
            ("--percentiles", text(reports.percentiles)), ("-I", text(reports.wantsIterations)), ("--stragglers", text(reports.stragglers)),
            ("--overlap", text(reports.overlap)), ("--explain or -M", text(reports.wantsMemory)),
            ("--message-rate", text(reports.messageRate)),
        ]
        return values.map { OptionAgreement.Entry(option: $0.0, value: $0.1) }
    }

    /// Before anything else that the ranks do together. Collective; throws on all ranks alike.
    func checkAgreement(_ communicator: Communicator) throws {
        let own = agreedOptions(worldSize: communicator.worldSize)
        if let difference = OptionAgreement(ranks: try communicator.gathered(own, label: "options")).difference {
            throw Failure("\(difference); give all ranks the same options")
        }
    }
}
