extension Rule {
    static let safety: [Rule] = [
        Rule("unsafe-reason", "Where the sources say `unsafe`, a SAFETY comment says who keeps the memory alive.") { file in
            guard file.language == .swift, file.isUnder("Sources") || file.isUnder("Benchmarks") else { return [] }
            if file.lines.contains(where: { $0.comment.contains("SAFETY (whole file):") }) { return [] }
            let unexplained = file.lines.indices.filter { isUnsafe(file.lines[$0].code) && !isExplained($0, in: file) }
            return firstOfEachFunction(unexplained, in: file).map {
                file.finding(
                    $0, "`unsafe` without a SAFETY comment",
                    "say who keeps the memory alive: in the function, above it, above its type, or `SAFETY (whole file):`")
            }
        },
        Rule("unchecked-sendable", "`@unchecked Sendable` and `nonisolated(unsafe)` give their reason beside them.") { file in
            guard file.language == .swift else { return [] }
            return file.lines.indices.filter { index in
                let code = file.lines[index].code
                guard code.contains("@unchecked Sendable") || code.contains("nonisolated(unsafe)") else { return false }
                return !file.comments(in: file.headerStart(above: index)...index, mention: ["SAFETY:", "Sendable", "Threads:"])
            }.map {
                file.finding(
                    $0, "threads are promised without a reason",
                    "say in a comment beside it, with the word Sendable or SAFETY:, what keeps two threads apart")
            }
        },
        Rule("forced-try", "No `try!`.") { file in
            guard file.language == .swift else { return [] }
            return file.findings(
                ofCode: ["try!"], { "`\($0)` turns an error into a crash without its words" }, "throw it on, or `try #require` in a test")
        },
        Rule("unfinished", "Nothing is left not implemented.") { file in
            guard file.language == .swift else { return [] }
            return file.lines.indices.filter { index in
                let line = file.lines[index]
                return line.code.hasWord("fatalError(") && line.raw.lowercased().contains("not implemented")
            }.map { file.finding($0, "a function that is not implemented", "write it, or leave it out") }
        },
    ]

    /// The `unsafe` of an expression or a loop; not `@unsafe`, `nonisolated(unsafe)` or `unowned(unsafe)`.
    private static func isUnsafe(_ code: String) -> Bool {
        guard code.contains("unsafe") else { return false }
        let marked = code.replacing("nonisolated(unsafe)", with: "").replacing("unowned(unsafe)", with: "")
        return marked.identifiers().contains { $0.name == "unsafe" && $0.before != UInt8(ascii: "@") && $0.before != UInt8(ascii: ".") }
    }

    /// A SAFETY comment counts inside the function, and above the line, the function or any type around it.
    private static func isExplained(_ index: Int, in file: SourceFile) -> Bool {
        if file.comments(in: file.headerStart(above: index)...index, mention: ["SAFETY:"]) { return true }
        return file.declarations.contains { declaration in
            guard (declaration.first...declaration.last).contains(index) else { return false }
            let start = file.headerStart(above: declaration.first)
            return file.comments(in: start...(declaration.kind == .function ? declaration.last : declaration.first), mention: ["SAFETY:"])
        }
    }

    /// One finding a function is enough: one comment mends them all.
    private static func firstOfEachFunction(_ indices: [Int], in file: SourceFile) -> [Int] {
        var told: Set<Int> = []
        return indices.filter { index in
            let around = file.declarations.filter { $0.kind == .function && ($0.first...$0.last).contains(index) }
            return told.insert(around.map(\.first).min() ?? index).inserted
        }
    }
}
