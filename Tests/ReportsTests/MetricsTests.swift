import Gradients
import Testing

@testable import Reports

@Suite("Metrics in Prometheus' text format")
struct MetricsTests {
    private var metrics: Metrics {
        var metrics = Metrics(rank: 1, facts: [("fabric", "shm"), ("model", "a \"quoted\" \\ name\nin two lines")])
        metrics.add(Runs.step(0, late: LateRank(rank: 0, seconds: 0.5)))
        metrics.add(Runs.step(1, slowBy: 100_000_000_000))
        metrics.add(EpochFigures(loss: 0.25, accuracy: 0.9, seconds: 2, samplesPerSecond: 1234.5, exposedSeconds: 0.1))
        return metrics
    }

    /// The values by name and labels.
    private func samples(_ text: String) throws -> [String: Double] {
        var samples: [String: Double] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let space = try #require(line.lastIndex(of: " "))
            let word = line[line.index(after: space)...]
            samples[String(line[..<space])] = try #require(Double(word == "+Inf" ? "inf" : String(word)))
        }
        return samples
    }

    @Test("every line is of the grammar, every family has HELP and TYPE once and before its samples, no sample comes twice")
    func grammar() throws {
        let text = metrics.text
        #expect(text.hasSuffix("\n") && !text.contains("\n\n"))
        var family = ""
        var kind = ""
        var families: Set<String> = []
        var samples: Set<String> = []
        for line in text.dropLast().split(separator: "\n", omittingEmptySubsequences: false) {
            if let match = line.wholeMatch(of: /# HELP ([a-z_]+) [^\n]+/) {
                family = String(match.1)
                #expect(families.insert(family).inserted, "\(family) comes twice")
                kind = ""
            } else if let match = line.wholeMatch(of: /# TYPE ([a-z_]+) (counter|gauge|histogram)/) {
                #expect(match.1 == family && kind.isEmpty)
                kind = String(match.2)
                #expect((kind == "counter") == family.hasSuffix("_total"), "\(family) is a \(kind)")
            } else {
                let pattern = /([a-z_]+)\{([a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*)\} (\S+)/
                let match = try #require(line.wholeMatch(of: pattern), "\(line)")
                let name = kind == "histogram" ? String(match.1).replacing(/_(bucket|sum|count)$/, with: "") : String(match.1)
                #expect(name == family && !kind.isEmpty && match.2.contains("rank=\"1\""))
                #expect(Double(match.3 == "+Inf" ? "inf" : String(match.3)) != nil)
                #expect(samples.insert("\(match.1){\(match.2)}").inserted, "\(line) comes twice")
            }
        }
        #expect(families.count > 15)
    }

    @Test("the values are those of the reports, in base units")
    func values() throws {
        let samples = try samples(metrics.text)
        #expect(samples["verbena_steps_total{rank=\"1\"}"] == 2)
        #expect(samples["verbena_compute_seconds_total{rank=\"1\"}"] == 0.018)
        #expect(abs((samples["verbena_exposed_seconds_total{rank=\"1\",cause=\"wire\"}"] ?? 0) - 100.0016) < 1e-6)
        #expect(samples["verbena_exposed_seconds_total{rank=\"1\",cause=\"late_peer\"}"] == 0.0004)
        #expect(samples["verbena_exposed_seconds_total{rank=\"1\",cause=\"core\"}"] == 0)
        #expect(samples["verbena_gradient_bytes_total{rank=\"1\"}"] == 4096 && samples["verbena_buckets_total{rank=\"1\"}"] == 4)
        #expect(samples["verbena_late_steps_total{rank=\"1\",peer=\"0\"}"] == 1)
        #expect(samples["verbena_last_late_rank{rank=\"1\"}"] == -1)
        #expect(samples["verbena_loss{rank=\"1\"}"] == 0.25 && samples["verbena_epochs_total{rank=\"1\"}"] == 1)
        // One step of 10 ms, one of 100 s, which is above every bound.
        #expect(samples["verbena_step_seconds_bucket{rank=\"1\",le=\"0.005\"}"] == 0)
        #expect(samples["verbena_step_seconds_bucket{rank=\"1\",le=\"0.01\"}"] == 1)
        #expect(samples["verbena_step_seconds_bucket{rank=\"1\",le=\"50\"}"] == 1)
        #expect(samples["verbena_step_seconds_bucket{rank=\"1\",le=\"+Inf\"}"] == 2)
        #expect(samples["verbena_step_seconds_count{rank=\"1\"}"] == 2)
    }

    @Test("a run that has not begun has zeros, and no figures of a step")
    func empty() throws {
        let text = Metrics(rank: 0, facts: []).text
        #expect(try samples(text)["verbena_steps_total{rank=\"0\"}"] == 0)
        #expect(!text.contains("verbena_last_") && !text.contains("verbena_loss"))
    }

    @Test(arguments: [
        (":9400", "127.0.0.1:9400"), ("localhost:1", "127.0.0.1:1"), ("127.0.0.1:0", "127.0.0.1:0"), ("0.0.0.0:9400", "0.0.0.0:9400"),
        ("[::1]:80", "[::1]:80"), ("[::]:65535", "[::]:65535"),
    ])
    func addresses(text: String, wanted: String) { #expect(MetricsAddress(text)?.description == wanted) }

    @Test(arguments: [
        "", "9400", ":", ":x", ":-1", ":65536", "::1:80", "[1.2.3.4]:80", "127.0.0.1", ":٣", "[::1]", "nohost.invalid:1", "1.2.3:80",
    ])
    func noAddresses(text: String) { #expect(MetricsAddress(text) == nil) }

    @Test("the ranks of a machine take ports in a row")
    func ports() throws {
        let address = try #require(MetricsAddress(":65534"))
        #expect(address.ofRank(localRank: 1)?.port == 65535 && address.ofRank(localRank: 2) == nil)
        #expect(try #require(MetricsAddress(":0")).ofRank(localRank: 3)?.port == 0)
    }
}
