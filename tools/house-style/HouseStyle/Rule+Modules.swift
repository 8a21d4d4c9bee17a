extension Rule {
    static let modules: [Rule] = [
        Rule("verbs-signature", "No `ibv_` or `rdma_` name in a public or package signature, no public import of a C module.") { file in
            guard file.language == .swift, file.isUnder("Sources") else { return [] }
            return file.lines.indices.compactMap { index in
                guard isVisibleDeclaration(file.lines[index].code) else { return nil }
                let names = signature(at: index, in: file).identifiers().map(\.name)
                guard let name = names.first(where: { $0.hasPrefix("ibv_") || $0.hasPrefix("rdma_") || isOpenImport(of: $0, names) }) else {
                    return nil
                }
                return file.finding(index, "`\(name)` in a public or package declaration", "give it a Swift type of our own")
            }
        },
        Rule("pure-core", "The core has no library, clock, thread, lock, socket or random number of its own.") { file in
            guard file.language == .swift, Core.contains(file) else { return [] }
            let imports = file.imports.filter { !Core.imports.contains($0.module) }.map { line, imported in
                file.finding(line, "`import \(imported)` in the core", "let the caller hand in what it is needed for")
            }
            return imports
                + file.findings(
                    ofCode: Core.forbiddenWords, { "`\($0)` in the core" }, "let the caller hand in the time, the bytes or the seed")
        },
    ]

    /// Whether a declaration begins here that other modules may see. What is public implicitly (members of a public extension or
    /// protocol, cases) the compiler guards: an internal import cannot show in it.
    private static func isVisibleDeclaration(_ code: String) -> Bool {
        let words = code.identifiers()
        guard let position = words.firstIndex(where: { $0.name == "public" || $0.name == "package" }) else { return false }
        let modifiers: Set<String> = ["static", "final", "override", "nonisolated", "indirect", "required", "convenience", "mutating"]
        return words[..<position].allSatisfy { modifiers.contains($0.name) || $0.before == UInt8(ascii: "@") }
    }

    private static func isOpenImport(of name: String, _ names: [String]) -> Bool {
        names.contains("import")
            && ["CVerbs", "CKernels", "CPlatform", "COpenBLAS", "COneDNN", "CTiles", "CElements", "CZlib"].contains(name)
    }

    /// The declaration's head that begins on this line: up to its body, its value, or its end.
    private static func signature(at index: Int, in file: SourceFile) -> String {
        var text = ""
        var parentheses = 0
        for line in file.lines[index...] {
            for character in line.code {
                if "([".contains(character) { parentheses += 1 }
                if ")]".contains(character) { parentheses -= 1 }
                if character == "{" && parentheses == 0 { return text }
                text.append(character)
            }
            if parentheses == 0 && !line.code.trimmed().hasSuffix("->") { return text }
            text.append(" ")
        }
        return text
    }
}

extension SourceFile {
    /// The modules that a Swift file imports, with their lines counted from 0.
    var imports: [(line: Int, module: String)] {
        guard language == .swift else { return [] }
        let kinds: Set<String> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
        return lines.enumerated().compactMap { index, line in
            guard line.code.hasWord("import") else { return nil }
            let names = line.code.identifiers().map(\.name)
            let modifiers: Set<String> = [
                "testable", "preconcurrency", "exported", "_exported", "public", "package", "internal", "private",
            ]
            guard let position = names.firstIndex(of: "import"), names[..<position].allSatisfy(modifiers.contains) else { return nil }
            return names[(position + 1)...].first { !kinds.contains($0) }.map { (index, $0) }
        }
    }
}
