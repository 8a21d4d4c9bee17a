internal import Foundation

/// What all pages have in common: head, style, place for data, and scripts that draw it.
struct PageFrame {
    /// What the reader has before him, beside the project's name.
    var kind: String
    var title: String
    /// HTML of our own, without a text of a user.
    var body: String
    /// After those that every page has.
    var scripts: [[UInt8]]

    /// - Parameter data: what the scripts read.
    func page(_ data: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // In a script a `<` could end it; in JSON it stands in texts only.
        let json = String(decoding: try encoder.encode(data), as: UTF8.self).replacing("<", with: "\\u003c")
        let script = ([PackageResources.base_js] + scripts).map(Self.text).joined(separator: "\n")
        let values = [
            "kind": kind, "title": Self.escaped(title), "style": Self.text(PackageResources.report_css), "body": body, "data": json,
            "script": script,
        ]
        // In one pass: what is put in is not looked at again.
        return Self.text(PackageResources.page_html).replacing(/\{\{(\w+)\}\}/) { values[String($0.1)] ?? "" }
    }

    static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }
}
