internal import Gradients
public import Prediction

extension PredictionDocument {
    /// One HTML file that needs no network and nothing beside it: the curves, the tables and what is assumed. Its data is what `json` has.
    public func page(footer: String) throws -> String {
        let title = "\(prediction.profile) on \(prediction.cluster), predicted"
        return try PageFrame(
            kind: "prediction", title: title, body: PageFrame.text(PackageResources.prediction_html),
            scripts: [PackageResources.charts_js, PackageResources.prediction_js]
        ).page(PredictionPageData(title: title, causes: ExposedCause.allCases.map(PageCause.init), document: self, footer: footer))
    }
}

/// What the page's scripts read.
private struct PredictionPageData: Encodable {
    var title: String
    var causes: [PageCause]
    var document: PredictionDocument
    var footer: String
}
