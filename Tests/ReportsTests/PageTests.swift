import Foundation
import Gradients
import Testing

@testable import Reports

@Suite("The page")
struct PageTests {
    private func data(_ page: String) throws -> [String: Any] {
        let match = try #require(page.firstMatch(of: /<script type="application\/json" id="data">(.*?)<\/script>/.dotMatchesNewlines()))
        return try #require(try JSONSerialization.jsonObject(with: Data(match.1.utf8)) as? [String: Any])
    }

    @Test("all that is asked of it is in it")
    func selfContained() throws {
        let page = try Runs.report(ranks: 2, steps: 50).page(footer: "")
        #expect(!page.contains("{{") && page.hasPrefix("<!doctype html>"))
        for link in page.matches(of: /(?:https?:)?\/\/[a-z0-9.-]+\.[a-z]+[^\s"]*/) {
            #expect(link.0 == "http://www.w3.org/2000/svg", "the page names \(link.0)")
        }
        #expect(page.matches(of: /\b(?:src|href)=/).isEmpty && !page.contains("@import") && !page.contains("url(http"))
    }

    @Test("texts of the run stay texts")
    func escaping() throws {
        let bad = "</script><script>alert(1)</script><!-- {{data}} & \u{2028}"
        var report = Runs.report(ranks: 1, steps: 3, title: bad)
        report.facts = [("<b>", bad)]
        report.note = bad
        report.parameterNames = [bad]
        let page = try report.page(footer: bad)
        #expect(!page.contains("<script>alert") && page.ranges(of: "</script>").count == 2)
        #expect(page.contains("<title>&lt;/script&gt;"))
        let data = try data(page)
        #expect(data["title"] as? String == bad && (data["facts"] as? [[String]]) == [["<b>", bad]])
    }

    @Test("times of a step are nanoseconds from its beginning, on the clock of rank 0")
    func times() throws {
        let page = try Runs.report(ranks: 2, steps: 9).page(footer: "")
        let steps = try #require(try data(page)["steps"] as? [[String: Any]])
        #expect(steps.count == 9)
        let ranks = try #require(steps[4]["ranks"] as? [[String: Any]])
        #expect(ranks.map { $0["start"] as? Int } == [0, 1000])
        let bucket = try #require((ranks[1]["buckets"] as? [[Double]])?.last)
        #expect(bucket.prefix(7) == [1, 2, 3, 1024, 1, 0, 1])
        #expect(bucket[7...13] == [5_501_000, 5_601_000, 5_801_000, 6_401_000, 6_501_000, 9_001_000, 10_005_000])
        #expect(bucket[14...] == [0, 0.0002, 0.000804, 0, 0, 0, 1])
        #expect(try data(page)["wireFormats"] as? [String] == ["fp32", "bf16", "fp16", "int8"])
    }

    @Test("a long run, many ranks or many buckets make no page without an end")
    func bounded() throws {
        for report in [
            Runs.report(ranks: 2, steps: 6000, slow: [5000]), Runs.report(ranks: 24, steps: 40, buckets: 100),
            Runs.report(ranks: 3, steps: 2, buckets: 9000),
        ] {
            let page = try report.page(footer: "")
            #expect(page.utf8.count < 5 << 20)
            let data = try data(page)
            let steps = try #require(data["steps"] as? [[String: Any]])
            #expect((1...RunReport.pageStepLimit).contains(steps.count))
            let shown = steps.map { $0["step"] as? Int }
            if steps.count > 1 { #expect(shown.contains(data["slowest"] as? Int)) }
            #expect((data["slices"] as? [Any] ?? []).count <= StepRecording.sliceLimit)
        }
    }

    @Test("a run that has not come to a step has a page")
    func empty() throws {
        let page = try RunReport(title: "x", facts: [], note: "ended early", recording: StepRecording()).page(footer: "")
        #expect(try data(page)["note"] as? String == "ended early")
        let trace = try RunReport(title: "x", facts: [], recording: StepRecording()).trace()
        #expect(trace.contains("\"traceEvents\":["))
    }
}
