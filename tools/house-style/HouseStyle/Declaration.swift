/// A function (method, initialiser, computed property, C or shell function) or a type with its body, by lines counted from 0.
public struct Declaration: Sendable, Equatable {
    public enum Kind: Sendable { case function, type }

    public var kind: Kind
    /// The line of its keyword.
    public var first: Int
    /// The line of its closing brace.
    public var last: Int

    public var lineCount: Int { last - first + 1 }

    static func all(in lines: [SourceLine], language: SourceFile.Language) -> [Declaration] {
        switch language {
        case .swift: swiftDeclarations(lines)
        case .c: cFunctions(lines)
        case .shell: shellFunctions(lines)
        case .text, .binary: []
        }
    }

    /// A keyword whose opening brace has not come yet.
    private struct Pending {
        var kind: Kind
        var line: Int
        var parentheses: Int
        var isProperty: Bool
    }

    private static let keywords: [String: Kind] = [
        "func": .function, "init": .function, "deinit": .function, "subscript": .function, "var": .function,
        "struct": .type, "class": .type, "enum": .type, "actor": .type, "extension": .type, "protocol": .type,
    ]

    /// Follows braces and parentheses; the first brace after a keyword, at the keyword's own nesting, opens its body.
    private static func swiftDeclarations(_ lines: [SourceLine]) -> [Declaration] {
        var found: [Declaration] = []
        var pending: Pending?
        var open: [(body: Pending?, parentheses: Int)] = []
        var parentheses = 0
        for (index, line) in lines.enumerated() {
            for token in tokens(line.code) {
                switch token {
                case "(", "[": parentheses += 1
                case ")", "]": parentheses -= 1
                case "{":
                    let isBody = pending?.parentheses == parentheses
                    open.append((isBody ? pending : nil, parentheses))
                    if isBody { pending = nil }
                case "}":
                    guard let closed = open.popLast() else { continue }
                    parentheses = closed.parentheses
                    if let body = closed.body { found.append(Declaration(kind: body.kind, first: body.line, last: index)) }
                case "=": if pending?.isProperty == true, pending?.parentheses == parentheses { pending = nil }
                default:
                    guard let kind = keywords[token] else { continue }
                    pending = Pending(kind: kind, line: index, parentheses: parentheses, isProperty: token == "var")
                }
            }
            if let waiting = pending, waiting.parentheses == parentheses, !goesOn(line, next: lines[(index + 1)...]) { pending = nil }
        }
        return found
    }

    /// Identifiers (not after a dot: `.init` is an expression) and the punctuation that matters here.
    private static func tokens(_ code: String) -> [String] {
        var tokens: [String] = []
        var word: [UInt8] = []
        var isMember = false
        func flush() {
            if !word.isEmpty && !isMember { tokens.append(String(decoding: word, as: UTF8.self)) }
            word = []
        }
        var last = UInt8(ascii: " ")
        for byte in code.utf8 {
            if byte.isIdentifier {
                if word.isEmpty { isMember = last == UInt8(ascii: ".") || last == UInt8(ascii: "`") }
                word.append(byte)
            } else {
                flush()
                if "()[]{}=".utf8.contains(byte) { tokens.append(String(decoding: [byte], as: UTF8.self)) }
            }
            last = byte
        }
        flush()
        return tokens
    }

    /// Whether a declaration's head may continue after this line: a protocol's requirement has no body and ends here.
    private static func goesOn(_ line: SourceLine, next lines: ArraySlice<SourceLine>) -> Bool {
        let text = line.code.trimmed()
        if text.isEmpty || [",", ":", "&", ">", "="].contains(where: text.hasSuffix) { return true }
        guard let next = lines.first(where: { !$0.code.trimmed().isEmpty })?.code.trimmed() else { return false }
        return ["{", "where", "->", "throws", "async", "rethrows", ":", "&"].contains(where: next.hasPrefix)
    }

    /// A brace outside every other, after a closing parenthesis, opens a function.
    private static func cFunctions(_ lines: [SourceLine]) -> [Declaration] {
        var found: [Declaration] = []
        var depth = 0
        var first: Int?
        var last = UInt8(ascii: " ")
        for (index, line) in lines.enumerated() where !line.raw.hasPrefix("#") {
            for byte in line.code.utf8 where byte != UInt8(ascii: " ") {
                if byte == UInt8(ascii: "{") {
                    if depth == 0 && last == UInt8(ascii: ")") { first = index }
                    depth += 1
                } else if byte == UInt8(ascii: "}") {
                    depth -= 1
                    if depth == 0, let start = first {
                        found.append(Declaration(kind: .function, first: start, last: index))
                        first = nil
                    }
                }
                last = byte
            }
        }
        return found
    }

    /// `name() {` at the left edge, to the next `}` there.
    private static func shellFunctions(_ lines: [SourceLine]) -> [Declaration] {
        var found: [Declaration] = []
        var first: Int?
        for (index, line) in lines.enumerated() {
            if line.raw.trimmed().hasSuffix("() {"), line.raw.first != " " {
                first = index
            } else if line.raw == "}" || line.raw == ")", let start = first {
                found.append(Declaration(kind: .function, first: start, last: index))
                first = nil
            }
        }
        return found
    }
}
