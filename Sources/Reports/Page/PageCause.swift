internal import Gradients

/// A cause of exposed time, as a page's scripts know it.
struct PageCause: Encodable {
    /// Its field in JSON, and its colour in the style.
    var key: String
    var name: String
    var explanation: String

    init(_ cause: ExposedCause) {
        key = cause.rawValue
        name = cause.name
        explanation = cause.explanation
    }
}
