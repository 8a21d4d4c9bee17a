import Testing

@testable import HouseStyle

/// The lexer that keeps the rules from tripping over texts.
@Suite struct ScannerTests {
    private func code(_ text: String, path: String = "a.swift") -> [String] {
        SourceFile(path: path, text).lines.map { $0.code.trimmed() }
    }

    @Test(arguments: [
        (#"a("x // y") // z"#, #"a("      ")"#),
        (##"a(#"x " y"#) + b"##, ##"a(#"     "#) + b"##),
        (#"a("\" b") + c"#, #"a("    ") + c"#),
        (#"a("x\(b("y") + c)z") + d"#, #"a("   b(" ") + c  ") + d"#),
        ("a /* b /* c */ d */ e", "a                   e"),
        (#"let a = /"[^"]*"/ + b"#, "let a =           + b"),
        ("let a = b / c / d", "let a = b / c / d"),
        (#"a("open"#, #"a(""#),
    ])
    func codeIsToldFromTexts(line: String, expected: String) {
        #expect(code(line + "\nnext") == [expected, "next"])
    }

    @Test func multilineStringsEndWhereTheyEnd() {
        let fence = "\"\"\""
        #expect(code("let a = \(fence)\n  b // c\n  \"d\"\n  \(fence)\ne") == ["let a = \(fence)", "", "", fence, "e"])
    }

    @Test func charactersOfCAreNoStrings() {
        #expect(code("char a = '\"'; b", path: "a.c") == ["char a = ' '; b"])
    }

    @Test func commentsKeepTheirWords() {
        let lines = SourceFile(path: "a.swift", "let a = 1  // why\n/* b\n c */ d\n").lines
        #expect(lines.map(\.comment) == ["// why", "/* b", "c */"])
    }
}

/// Where functions and types begin and end.
@Suite struct DeclarationTests {
    private func functions(_ text: String) -> [ClosedRange<Int>] {
        SourceFile(path: "a.swift", text).declarations.filter { $0.kind == .function }.map { $0.first...$0.last }
    }

    @Test func requirementsHaveNoBody() {
        #expect(functions("protocol A {\n    func b()\n    init(c: Int)\n}\nfunc d() {\n}\n") == [4...5])
    }

    @Test func aHeadMayTakeManyLines() {
        #expect(functions("func a(\n    b: Int = { 1 }()\n)\n    throws -> Int\nwhere C: D\n{\n    1\n}\n") == [0...7])
    }

    @Test func callsOfInitialisersAreNoDeclarations() {
        #expect(functions("func a() {\n    self.init(b)\n    if c {\n    }\n}\n") == [0...4])
    }

    @Test func computedPropertiesCountAndStoredOnesDoNot() {
        #expect(functions("var a: Int {\n    1\n}\nvar b = c {\n}\nvar d: Int\nif e {\n}\n") == [0...2])
    }

    @Test func functionsNest() {
        #expect(functions("func a() {\n    func b() {\n    }\n    c(d: [1], { e })\n}\n") == [1...2, 0...4])
    }
}
