/// A file of the repository as the rules see it: taken apart once, read by every rule.
public struct SourceFile: Sendable {
    public enum Language: Sendable {
        case swift, c, shell, text
        /// Holds a NUL byte: only its size is judged.
        case binary
    }

    /// Relative to the repository's root, with `/` between its parts.
    public let path: String
    public let byteCount: Int
    public let language: Language
    /// Without line ends. Empty for a binary file.
    public let lines: [SourceLine]
    /// True where the file is empty or ends in a newline.
    public let endsInNewline: Bool
    /// The functions and types of a Swift, C or shell file, in the order of their closing braces.
    public let declarations: [Declaration]

    /// - Parameter bytes: the whole file; text is read as UTF-8, with damage replaced.
    public init(path: String, bytes: [UInt8]) {
        self.path = path
        byteCount = bytes.count
        language = Self.language(path: path, bytes: bytes)
        endsInNewline = bytes.isEmpty || bytes.last == UInt8(ascii: "\n")
        lines = language == .binary ? [] : Scanner.lines(of: bytes, language: language)
        declarations = Declaration.all(in: lines, language: language)
    }

    public init(path: String, _ text: String) { self.init(path: path, bytes: Array(text.utf8)) }

    private static func language(path: String, bytes: [UInt8]) -> Language {
        if bytes.contains(0) { return .binary }
        let name = path.split(separator: "/").last ?? ""
        let suffix = name.contains(".") ? name.split(separator: ".").last ?? "" : ""
        switch suffix {
        case "swift": return .swift
        case "c", "h": return .c
        case "sh", "bash", "py", "yml", "yaml", "awk": return .shell
        default: return bytes.starts(with: "#!".utf8) ? .shell : .text
        }
    }

    /// The first `count` folders of the path: `["Sources", "Verbs"]`.
    func folders(_ count: Int) -> [Substring] { Array(path.split(separator: "/").dropLast().prefix(count)) }

    func isUnder(_ folder: String) -> Bool { path.hasPrefix(folder + "/") }

    /// Text that people or compilers read as a program; prose, data and settings are not.
    var isProgram: Bool { language == .swift || language == .c || (language == .shell && !path.hasSuffix("ml")) }

    /// Index of the first line of the comments and attributes directly above line `index`, or `index` itself.
    func headerStart(above index: Int) -> Int {
        var start = index
        while start > 0, lines[start - 1].isCommentOrAttribute { start -= 1 }
        return start
    }

    /// Whether a comment in one of these lines has one of the words.
    func comments(in range: ClosedRange<Int>, mention words: [String]) -> Bool {
        lines[range].contains { line in words.contains { line.comment.contains($0) } }
    }

    /// The lines whose code has the word: its index, for each.
    func linesOfCode(with word: String) -> [Int] { lines.indices.filter { lines[$0].code.hasWord(word) } }
}

/// One line, taken apart.
public struct SourceLine: Sendable {
    public let raw: String
    /// The line with its comments and the insides of its string literals blanked; columns are kept.
    public let code: String
    /// What the line says in comments.
    public let comment: String

    var isCommentOrAttribute: Bool {
        let text = code.drop { $0 == " " }
        return text.isEmpty ? !comment.isEmpty : text.hasPrefix("@") && !text.contains("{")
    }
}

extension String {
    /// Whether the text has `word` and, where the word ends in a letter, digit or `_`, is not part of a longer one.
    func hasWord(_ word: String) -> Bool {
        guard contains(word) else { return false }
        let text = Array(utf8)
        let sought = Array(word.utf8)
        for start in 0...max(0, text.count - sought.count) where text[start...].starts(with: sought) {
            let end = start + sought.count
            let joinedBefore = start > 0 && sought[0].isIdentifier && text[start - 1].isIdentifier
            let joinedAfter = end < text.count && sought[sought.count - 1].isIdentifier && text[end].isIdentifier
            if !joinedBefore && !joinedAfter { return true }
        }
        return false
    }

    /// The identifiers in the text, each with the byte before it (a space at the beginning).
    func identifiers() -> [(before: UInt8, name: String)] {
        var found: [(before: UInt8, name: String)] = []
        var before = UInt8(ascii: " ")
        var name: [UInt8] = []
        var last = before
        for byte in utf8 {
            if byte.isIdentifier {
                if name.isEmpty { before = last }
                name.append(byte)
            } else if !name.isEmpty {
                found.append((before, String(decoding: name, as: UTF8.self)))
                name = []
            }
            last = byte
        }
        if !name.isEmpty { found.append((before, String(decoding: name, as: UTF8.self))) }
        return found
    }
}

extension UInt8 {
    /// A letter, digit, `_`, or part of a character beyond ASCII.
    var isIdentifier: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), 0x80...:
            true
        default: false
        }
    }
}
