import Foundation
import Prediction
import Testing

@testable import Reports

/// Small predictions with all that can be asked for.
private enum Predictions {
    static func document(name: String = "test", ranks: [Int] = [1, 2, 4], whatIf: Bool = false) throws -> PredictionDocument {
        let layers = (0..<4).map {
            ModelProfile.Layer(name: "\($0)", parameters: [20_000, 64], forwardSeconds: 1e-4, backwardSeconds: 2e-4)
        }
        var cluster = Cluster(name: name)
        (cluster.nicGigabytesPerSecond, cluster.computeSpread) = (1, 0.02)
        cluster.notes = ["computeSpread": "assumed: \(name)"]
        var settings = StepSettings()
        settings.steps = 2
        let profile = ModelProfile(name: name, batch: 8, samplesPerEpoch: 8000, layers: layers, source: name)
        return try PredictionDocument(
            Predictor(profile, on: cluster, settings: settings), ranks: ranks, whatIf: whatIf, sensitivity: whatIf)
    }

    /// What the page's scripts read.
    static func data(_ page: String) throws -> [String: Any] {
        let match = try #require(page.firstMatch(of: /<script type="application\/json" id="data">(.*?)<\/script>/.dotMatchesNewlines()))
        return try #require(try JSONSerialization.jsonObject(with: Data(match.1.utf8)) as? [String: Any])
    }
}

@Suite("The page of a prediction")
struct PredictionPageTests {
    @Test("its data is that of the JSON")
    func data() throws {
        let document = try Predictions.document(ranks: [1, 4, 2], whatIf: true)
        let json = try #require(try JSONSerialization.jsonObject(with: Data(document.json.utf8)) as? NSDictionary)
        #expect(json.allKeys.count == 6 && (json["whatIf"] as? [Any])?.isEmpty == false)
        let page = try document.page(footer: "")
        #expect(try Predictions.data(page)["document"] as? NSDictionary == json)
        #expect(try document.page(footer: "") == page)
    }

    @Test("texts of files stay texts, and nothing is fetched")
    func escaping() throws {
        let bad = "</script><script>alert(1)</script>{{data}}"
        let page = try Predictions.document(name: bad, ranks: [1]).page(footer: bad)
        #expect(!page.contains("<script>alert") && page.ranges(of: "</script>").count == 2)
        #expect(page.contains("<title>&lt;/script&gt;"))
        #expect(page.matches(of: /\b(?:src|href)=/).isEmpty && !page.contains("@import") && !page.contains("url(http"))
    }
}

extension BrowserTests {
    private func number(_ text: some StringProtocol) throws -> Double {
        let plain = String(text).replacing("%", with: "").replacing("\u{2212}", with: "-")
        return try #require(Double(plain.trimmingCharacters(in: .whitespaces)), "\(text)")
    }

    /// Texts of the cells of a table, by row.
    private func cells(_ id: String, of dom: String) throws -> [[String]] {
        try part(id, ending: "</table>", of: dom).matches(of: /<tr>(.*?)<\/tr>/.dotMatchesNewlines()).map { row in
            row.1.matches(of: /<td[^>]*>(.*?)<\/td>/.dotMatchesNewlines()).map { String($0.1) }
        }
        .filter { !$0.isEmpty }
    }

    @Test("curves and tables of a prediction are drawn from the data, without an error")
    func prediction() throws {
        let document = try Predictions.document(ranks: [4, 1, 2], whatIf: true)
        let dom = try Browser.dom(of: document.page(footer: "the end"))
        expectDrawn(dom)
        let rows = document.prediction.rows
        // Higher is less far down: the places of the points have the order of the efficiencies.
        let points = try part("efficiency", ending: "</svg>", of: dom).matches(of: /<circle cx="([^"]+)" cy="([^"]+)"/).map {
            (x: try number($0.1), y: try number($0.2))
        }
        let ordered = rows.sorted { $0.ranks < $1.ranks }
        #expect(points.count == 3 && points.map(\.x) == points.map(\.x).sorted())
        for (index, point) in points.enumerated().dropFirst() {
            #expect((point.y > points[index - 1].y) == (ordered[index].efficiency < ordered[index - 1].efficiency))
        }
        // A column has a part for each cause, as high as its share of the step: of equal scale, so heights are in proportion.
        let columns = try part("exposed", ending: "</svg>", of: dom).matches(of: /<g class="column">(.*?)<\/g>/).map { column in
            try column.1.matches(of: /height="([^"]+)"/).reduce(0.0) { $0 + (try number($1.1)) }
        }
        let shares = ordered.map { $0.exposed.total / $0.stepSeconds }
        #expect(columns.count == 3 && columns[0] == 0 && shares[2] > 0)
        #expect(abs(columns[1] / columns[2] - shares[1] / shares[2]) < 1e-3)

        let table = try cells("rows", of: dom)
        #expect(table.map { $0[0] } == ["4", "1", "2"])
        for (row, texts) in zip(rows, table) { #expect(abs(try number(texts[1]) - row.efficiency * 100) <= 0.005001) }
        let effects = try #require(document.whatIf)
        let shown = try cells("effects", of: dom)
        #expect(shown.count == effects.count)
        for (effect, texts) in zip(effects, shown) {
            #expect(texts[0].hasPrefix(effect.name))
            if let saved = effect.saved { #expect(abs(try number(texts[1]) - saved * 100) <= 0.005001) }
        }
        #expect(try cells("sensitivities", of: dom).map { $0[0] } == document.sensitivity?.map(\.name))
        #expect(dom.contains("the end</footer>"))
    }

    @Test("of the cluster, the model and the settings each field is shown with what it is")
    func assumptions() throws {
        let document = try Predictions.document(ranks: [2])
        let dom = try Browser.dom(of: document.page(footer: ""))
        expectDrawn(dom)
        let json = try #require(try JSONSerialization.jsonObject(with: Data(document.json.utf8)) as? [String: [String: Any]])
        for part in ["cluster", "profile", "settings"] {
            let wanted = try #require(json[part]).keys.filter { $0 != "notes" }
            let shown = try cells(part, of: dom)
            #expect(shown.map { $0[0] }.sorted() == wanted.sorted())
            // These say by their name what they are.
            for texts in shown where !["name", "layers", "ranksPerNode"].contains(texts[0]) { #expect(texts[2] != "", "\(texts)") }
        }
        #expect(try cells("cluster", of: dom).contains { $0[0] == "computeSpread" && $0[1] == "0.02" && $0[3] == "assumed: test" })
        #expect(dom.contains("id=\"effect-section\" hidden") && dom.contains("id=\"sensitivity-section\" hidden"))
    }
}
