/// Words that promise work for later; an issue is the place for that.
private let leftovers = ["TODO", "FIXME", "XXX", "HACK"]

/// Folders that exist on one machine only. Put together here, so that this file does not break its own rule.
private let machineFolders = ["work", "root", "home", "tmp/wt-", "Users"].map { $0.hasSuffix("-") ? "/\($0)" : "/\($0)/" }

extension Rule {
    static let texts: [Rule] = [
        Rule("trailing-space", "No line ends in a space or tab.") { file in
            file.lines.indices.filter { file.lines[$0].raw.last.map { " \t\r".contains($0) } ?? false }.map {
                file.finding($0, "space at the end of the line", "remove it")
            }
        },
        Rule("tab", "Swift and C are indented by spaces.") { file in
            guard file.language == .swift || file.language == .c else { return [] }
            return file.lines.indices.filter { file.lines[$0].raw.contains("\t") }.map {
                file.finding($0, "a tab", "indent by four spaces; write `\\t` in a string")
            }
        },
        Rule("final-newline", "A text ends in exactly one newline.") { file in
            guard let last = file.lines.last else { return [] }
            if !file.endsInNewline { return [file.finding(file.lines.count - 1, "no newline at the end", "add one")] }
            if last.raw.isEmpty { return [file.finding(file.lines.count - 1, "an empty line at the end", "remove it")] }
            return []
        },
        Rule("leftover", "No \(leftovers.joined(separator: ", ")) is left in a comment or a page.") { file in
            file.lines.enumerated().compactMap { index, line in
                leftovers.first { line.comment.hasWord($0) }.map {
                    file.finding(index, "a leftover \($0)", "do it now, or open an issue and say here only what is true")
                }
            }
        },
        Rule("machine-path", "No file names an absolute path of somebody's machine.") { file in
            file.lines.enumerated().compactMap { index, line in
                machineFolders.first { namesFolder(line.raw, $0) }.map {
                    file.finding(index, "the path of one machine: \($0)", "make it relative to the repository, or an option")
                }
            }
        },
    ]

    /// Whether an absolute path begins with `folder`: `a/home/b`, `"$base"/work/`, `~/work/` and addresses on the web are other things.
    private static func namesFolder(_ line: String, _ folder: String) -> Bool {
        line.ranges(of: folder).contains { range in
            var before = line[..<range.lowerBound].utf8
            // A quote that closes belongs to the path's beginning, one that opens does not.
            if let last = before.last, "\"'".utf8.contains(last) { before = before.dropLast() }
            return before.last.map { !$0.isIdentifier && !")}*.-/~".utf8.contains($0) } ?? true
        }
    }
}
