import Foundation
import Testing

@testable import Reports

/// A browser without a window. It draws a page as a reader's would.
enum Browser {
    static let path: String? = ["chromium-headless-shell", "chromium", "google-chrome", "chromium-browser"].lazy
        .flatMap { name in (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(name)" } }
        .first { FileManager.default.isExecutableFile(atPath: $0) }

    private static let deadlineSeconds = 120.0

    /// The page's DOM when its scripts have run.
    static func dom(of page: String) throws -> String {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("verbena-page-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("page.html")
        try Data(page.utf8).write(to: file)
        let output = folder.appendingPathComponent("dom")
        try Data().write(to: output)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(path))
        // As root, and in most containers, it has no sandbox of its own; the page is ours.
        process.arguments = [
            "--no-sandbox", "--disable-gpu", "--headless", "--user-data-dir=\(folder.path)/profile", "--window-size=1280,1000",
            "--dump-dom",
            file.absoluteString,
        ]
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = FileHandle.nullDevice
        let ended = DispatchSemaphore(value: 0)
        process.terminationHandler = { _ in ended.signal() }
        try process.run()
        if ended.wait(timeout: .now() + deadlineSeconds) == .timedOut {
            process.terminate()
            Issue.record("the browser did not end within \(deadlineSeconds) s")
        }
        return try String(contentsOf: output, encoding: .utf8)
    }
}

@Suite("The page in a browser", .enabled(if: Browser.path != nil, "no headless Chromium"), .serialized)
struct BrowserTests {
    private func count(_ pattern: some RegexComponent, in dom: String) -> Int { dom.matches(of: pattern).count }

    /// The inside of the element with this id, up to the next end of such an element.
    func part(_ id: String, ending end: String, of dom: String) throws -> Substring {
        let start = try #require(dom.firstRange(of: "id=\"\(id)\""), "no \(id)")
        let rest = dom[start.upperBound...]
        return rest[..<(try #require(rest.firstRange(of: end))).lowerBound]
    }

    func expectDrawn(_ dom: String) {
        let root = dom.firstMatch(of: /<html[^>]*>/).map { String($0.0) } ?? ""
        #expect(root.contains("data-drawn=\"yes\"") && !root.contains("data-error"), "\(root)")
        // The data and the scripts stand behind what is drawn.
        let dom = dom.prefix(upTo: dom.firstRange(of: "<script")?.lowerBound ?? dom.endIndex)
        #expect(!dom.contains("NaN") && !dom.contains("undefined") && !dom.contains("Infinity"))
    }

    @Test("bars, causes and tables are drawn from the data, without an error", arguments: [2, 8])
    func drawn(ranks: Int) throws {
        let dom = try Browser.dom(of: Runs.report(ranks: ranks, steps: 60, buckets: 5, slow: [33]).page(footer: "the end"))
        expectDrawn(dom)
        let timeline = try part("timeline", ending: "</svg>", of: dom)
        #expect(timeline.matches(of: /class="compute"/).count == ranks)
        // With more ranks than two, only the chosen one's buckets are open.
        #expect(timeline.matches(of: /class="bucket"/).count == 5 * (ranks == 2 ? 2 : 1))
        // Late peer and wire.
        #expect(timeline.matches(of: /class="wait"/).count == 2 * ranks)
        #expect(timeline.contains("rank \(ranks - 1)</text>"))
        let exposed = try part("exposed", ending: "</svg>", of: dom)
        #expect(exposed.matches(of: /data-cause="/).count == 6 && exposed.contains("data-cause=\"wire\""))
        #expect(try part("buckets", ending: "</table>", of: dom).matches(of: /<tr>/).count == 6)
        #expect(try part("ranks", ending: "</table>", of: dom).matches(of: /<tr>/).count == ranks + 1)
        #expect(try part("loss", ending: "</svg>", of: dom).matches(of: /class="point"/).count == 3)
        #expect(try part("epochs", ending: "</table>", of: dom).contains("93.33 %"))
        #expect(try part("step", ending: "</select>", of: dom).contains("33 (slowest), 30.0 ms"))
        #expect(dom.contains(">a run</h1>") && dom.contains("the end</footer>"))
    }

    @Test("texts that look like HTML are shown as texts")
    func texts() throws {
        var report = Runs.report(ranks: 1, steps: 3, title: "<img src=x onerror=alert(1)></script>")
        report.facts = [("<b>", "<script>document.title = 'taken'</script>")]
        report.note = "<i>early</i>"
        report.parameterNames = ["<td>", "</table>", "<u>", "<s>"]
        let dom = try Browser.dom(of: try report.page(footer: ""))
        expectDrawn(dom)
        #expect(dom.contains("&lt;img src=x onerror=alert(1)&gt;") && !dom.contains("<img") && !dom.contains("<title>taken"))
        #expect(dom.contains("&lt;i&gt;early") && dom.contains("&lt;td&gt; … &lt;/table&gt;"))
    }

    @Test("of many buckets that wait at once, no two share a place, and the page says by what rule", arguments: [16, 40])
    func folded(buckets: Int) throws {
        let dom = try Browser.dom(of: Runs.queue(buckets: buckets).page(footer: ""))
        expectDrawn(dom)
        #expect(try part("folded", ending: ">", of: dom).contains("hidden") == (buckets <= 16))
        let timeline = try part("timeline", ending: "</svg>", of: dom)
        let groups = timeline.matches(of: /<g class="bucket".*?<\/g>/).map(\.0)
        #expect(groups.count == buckets)
        // Of each bucket the bars, the thin one included: from the leftmost to the rightmost, at its lane.
        let bars = try groups.map { group in
            let rects = try group.matches(of: /<rect x="([^"]+)" y="([^"]+)" width="([^"]+)" height="([^"]+)"/).map { rect in
                (from: try #require(Double(rect.1)), y: try #require(Double(rect.2)), width: try #require(Double(rect.3)))
            }
            return (
                from: rects.map(\.from).min() ?? 0, to: rects.map { $0.from + $0.width }.max() ?? 0, y: rects.map(\.y).min() ?? 0
            )
        }
        for (index, bar) in bars.enumerated() {
            for other in bars.dropFirst(index + 1) where bar.y == other.y {
                #expect(bar.to <= other.from + 0.01 || other.to <= bar.from + 0.01, "\(bar) and \(other)")
            }
        }
    }

    @Test("a long run, and one without a step, draw without an error")
    func extremes() throws {
        let long = try Browser.dom(of: Runs.report(ranks: 2, steps: 5000, buckets: 40).page(footer: ""))
        expectDrawn(long)
        #expect(try part("step", ending: "</select>", of: long).matches(of: /<option/).count == RunReport.pageStepLimit)
        let empty = try Browser.dom(of: try RunReport(title: "x", facts: [], note: "early", recording: StepRecording()).page(footer: ""))
        expectDrawn(empty)
        #expect(empty.contains("id=\"step-section\" hidden"))
    }
}
