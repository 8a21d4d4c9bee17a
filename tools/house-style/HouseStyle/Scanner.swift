/// Tells code from comments and string literals, so that no rule trips over a word in a text.
///
/// A small lexer, not a parser: it knows Swift's strings (raw, multi-line, interpolated), regex literals and nested
/// comments, and C's strings, character literals and comments. Of shell and YAML it knows `#` comments only.
struct Scanner {
    private enum Mode {
        case code
        /// Code inside `\(...)`, with the parentheses open in it.
        case interpolation(parentheses: Int)
        case string(quote: UInt8, hashes: Int, isMultiline: Bool)
        case lineComment
        case blockComment(depth: Int)
    }

    private let bytes: [UInt8]
    private let isSwift: Bool
    private var position = 0
    private var modes: [Mode] = [.code]
    private var code: [UInt8] = []
    private var comment: [UInt8] = []

    private init(_ bytes: [UInt8], isSwift: Bool) {
        self.bytes = bytes
        self.isSwift = isSwift
    }

    static func lines(of bytes: [UInt8], language: SourceFile.Language) -> [SourceLine] {
        switch language {
        case .swift, .c:
            var scanner = Scanner(bytes, isSwift: language == .swift)
            scanner.run()
            return zip(split(bytes), zip(split(scanner.code), split(scanner.comment))).map { raw, parts in
                SourceLine(raw: raw, code: parts.0, comment: parts.1.trimmed())
            }
        case .shell: return split(bytes).map(shellLine)
        case .text, .binary: return split(bytes).map { SourceLine(raw: $0, code: "", comment: $0) }
        }
    }

    private static func split(_ bytes: [UInt8]) -> [String] {
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        return lines.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func shellLine(_ raw: String) -> SourceLine {
        let bytes = Array(raw.utf8)
        let hash = bytes.indices.first { index in
            bytes[index] == UInt8(ascii: "#") && (index == 0 || bytes[index - 1] == UInt8(ascii: " "))
        }
        guard let hash else { return SourceLine(raw: raw, code: raw, comment: "") }
        return SourceLine(
            raw: raw, code: String(decoding: bytes[..<hash], as: UTF8.self), comment: String(decoding: bytes[hash...], as: UTF8.self))
    }

    private mutating func run() {
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "\n") {
                endLine()
                continue
            }
            switch modes[modes.count - 1] {
            case .code, .interpolation: scanCode()
            case .string(let quote, let hashes, let isMultiline): scanString(quote, hashes, isMultiline)
            case .lineComment: take(1, isComment: true)
            case .blockComment(let depth): scanBlockComment(depth)
            }
        }
    }

    private mutating func endLine() {
        switch modes[modes.count - 1] {
        case .lineComment: modes.removeLast()
        // An unclosed string is the compiler's business; it must not swallow the rest of the file.
        case .string(_, _, false): modes.removeLast()
        default: break
        }
        code.append(UInt8(ascii: "\n"))
        comment.append(UInt8(ascii: "\n"))
        position += 1
    }

    private func matches(_ text: StaticString) -> Bool {
        let wanted = text.description.utf8
        return bytes[position...].starts(with: wanted)
    }

    /// Passes `count` bytes on: to the comments, to the code, or (`isBlank`) to neither.
    private mutating func take(_ count: Int, isComment: Bool = false, isBlank: Bool = false) {
        for byte in bytes[position..<min(position + count, bytes.count)] {
            code.append(isComment || isBlank ? UInt8(ascii: " ") : byte)
            comment.append(isComment ? byte : UInt8(ascii: " "))
        }
        position += count
    }

    private mutating func scanCode() {
        if matches("//") {
            modes.append(.lineComment)
            return take(2, isComment: true)
        }
        if matches("/*") {
            modes.append(.blockComment(depth: 1))
            return take(2, isComment: true)
        }
        if beginString() || skipRegex() { return }
        if case .interpolation(let parentheses) = modes[modes.count - 1] {
            switch bytes[position] {
            case UInt8(ascii: "("): modes[modes.count - 1] = .interpolation(parentheses: parentheses + 1)
            case UInt8(ascii: ")") where parentheses == 0:
                modes.removeLast()
                return take(1, isBlank: true)
            case UInt8(ascii: ")"): modes[modes.count - 1] = .interpolation(parentheses: parentheses - 1)
            default: break
            }
        }
        take(1)
    }

    /// Enters a string literal that begins here, if one does.
    private mutating func beginString() -> Bool {
        var hashes = 0
        if isSwift {
            while position + hashes < bytes.count, bytes[position + hashes] == UInt8(ascii: "#") { hashes += 1 }
        }
        let start = position + hashes
        guard start < bytes.count else { return false }
        let quote = bytes[start]
        guard quote == UInt8(ascii: "\"") || (!isSwift && quote == UInt8(ascii: "'")) else { return false }
        let isMultiline = isSwift && bytes[start...].starts(with: "\"\"\"".utf8)
        modes.append(.string(quote: quote, hashes: hashes, isMultiline: isMultiline))
        take(hashes + (isMultiline ? 3 : 1))
        return true
    }

    private mutating func scanString(_ quote: UInt8, _ hashes: Int, _ isMultiline: Bool) {
        let fence = [UInt8](repeating: UInt8(ascii: "#"), count: hashes)
        if bytes[position...].starts(with: [UInt8(ascii: "\\")] + fence) {
            let next = position + 1 + hashes
            if isSwift, next < bytes.count, bytes[next] == UInt8(ascii: "(") {
                modes.append(.interpolation(parentheses: 0))
                return take(hashes + 2, isBlank: true)
            }
            // The escaped byte goes with its backslash, but a line end stays for `endLine`.
            let isLineEnd = next < bytes.count && bytes[next] == UInt8(ascii: "\n")
            return take(hashes + (isLineEnd ? 1 : 2), isBlank: true)
        }
        let end = [UInt8](repeating: quote, count: isMultiline ? 3 : 1) + fence
        if bytes[position...].starts(with: end) {
            modes.removeLast()
            return take(end.count)
        }
        take(1, isBlank: true)
    }

    private mutating func scanBlockComment(_ depth: Int) {
        if isSwift && matches("/*") {
            modes[modes.count - 1] = .blockComment(depth: depth + 1)
            return take(2, isComment: true)
        }
        guard matches("*/") else { return take(1, isComment: true) }
        take(2, isComment: true)
        if depth == 1 { modes.removeLast() } else { modes[modes.count - 1] = .blockComment(depth: depth - 1) }
    }

    /// Skips `/.../` where a value may begin and no space follows, as the language demands of a regex literal.
    private mutating func skipRegex() -> Bool {
        guard isSwift, bytes[position] == UInt8(ascii: "/"), position + 1 < bytes.count, bytes[position + 1] != UInt8(ascii: " ") else {
            return false
        }
        let before = code.last { $0 != UInt8(ascii: " ") } ?? UInt8(ascii: "(")
        guard "(,=:[{#".utf8.contains(before) else { return false }
        var end = position + 1
        while end < bytes.count, bytes[end] != UInt8(ascii: "\n"), bytes[end] != UInt8(ascii: "/") {
            end += bytes[end] == UInt8(ascii: "\\") ? 2 : 1
        }
        guard end < bytes.count, bytes[end] == UInt8(ascii: "/") else { return false }
        take(end - position + 1, isBlank: true)
        return true
    }
}

extension String {
    func trimmed() -> String {
        let tail = drop { $0 == " " || $0 == "\t" }
        return String(tail.prefix(tail.count - tail.reversed().prefix { $0 == " " || $0 == "\t" }.count))
    }
}
