import CommandLineSupport
import Verbena

/// The options that make the ranks' calls, and so have to be the same on all of them. Ranks that disagree would wait for each other in different calls.
struct OptionAgreement {
    /// By rank: `--option value`.
    let ranks: [[String]]

    /// The first difference from rank 0, in words; nil where there is none.
    var difference: String? {
        for (rank, options) in ranks.enumerated() {
            if let (own, first) = zip(options, ranks[0]).first(where: { $0 != $1 }) {
                return "rank \(rank) was started with \(own), rank 0 with \(first)"
            }
            if options.count != ranks[0].count { return "rank \(rank) was started with other options than rank 0" }
        }
        return nil
    }
}

extension RdmaAllreduce {
    /// Every value that has a say in what is called how often. Where results are written to and what rank 0 shows may differ.
    func agreedOptions(worldSize: Int) -> [String] {
        func text(_ isOn: Bool) -> String { isOn ? "on" : "off" }
        return [
            "--collective \(subject.collective.name)", "-d \(subject.types.map(\.name).joined(separator: ","))",
            "-o \(subject.operations.map(\.name).joined(separator: ","))",
            "-r \(subject.roots(worldSize: worldSize).map(String.init).joined(separator: ","))",
            "--algorithm \(subject.algorithm?.name ?? "of its own choice")", "-b \(sizes.least.value)", "-e \(sizes.maxBytes)",
            sizes.factor.map { "-f \($0)" } ?? "-i \(sizes.step.value)", "-n \(timing.iterations)", "-w \(timing.warmups)",
            "-m \(timing.aggregated)", "-c \(timing.checks)", "-N \(timing.cycles)", "--dirty \(text(timing.dirty))",
            "--buffers \(timing.buffers.rawValue)",
            "--percentiles \(text(reports.percentiles))", "-I \(text(reports.showsIterations))",
            "--stragglers \(text(reports.stragglers))", "--overlap \(text(reports.overlap))",
            "--explain or -M \(text(reports.wantsMemory))", "--message-rate \(text(reports.messageRate))",
        ]
    }

    /// Before anything else that the ranks do together. Collective; throws on all ranks alike.
    func checkAgreement(_ communicator: Communicator) throws {
        let own = agreedOptions(worldSize: communicator.worldSize)
        if let difference = OptionAgreement(ranks: try communicator.gathered(own, label: "options")).difference {
            throw Failure("\(difference); give all ranks the same options")
        }
    }
}
