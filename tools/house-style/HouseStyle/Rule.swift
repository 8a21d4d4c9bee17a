/// One rule of the house style: a name to waive it by, what it asks, and the check.
public struct Rule: Sendable {
    public let name: String
    /// One line for people; `tools/tidy --rules` prints it.
    public let summary: String
    let check: @Sendable (SourceFile) -> [Finding]

    init(_ name: String, _ summary: String, check: @escaping @Sendable (SourceFile) -> [Finding]) {
        self.name = name
        self.summary = summary
        self.check = check
    }

    /// Every rule, in the order in which findings of one line are told.
    public static let all: [Rule] = sizes + texts + safety + tests + modules

    /// What `file` breaks, by line, after the waivers that it states.
    public static func findings(in file: SourceFile, rules: [Rule] = all) -> [Finding] {
        let waivers = Waiver.all(in: file)
        var used: Set<Int> = []
        var findings: [Finding] = []
        for rule in rules {
            for finding in rule.check(file) {
                let waiver = waivers.firstIndex { $0.rule == rule.name && $0.line == finding.line && !$0.reason.isEmpty }
                if let waiver { used.insert(waiver) } else { findings.append(finding) }
            }
        }
        for (index, waiver) in waivers.enumerated() where !used.contains(index) {
            findings.append(waiver.finding(in: file))
        }
        return findings.enumerated().sorted { ($0.element.line, $0.offset) < ($1.element.line, $1.offset) }.map(\.element)
    }
}

/// An exception granted where it is needed, as a comment on the offending line: `tidy: allow RULE, because ...`.
/// One without a reason, or with nothing to excuse, is a finding itself, so that none outlives its cause.
struct Waiver {
    var rule: String
    /// Counted from 1.
    var line: Int
    var reason: String

    private static let opening = "tidy: allow "

    static func all(in file: SourceFile) -> [Waiver] {
        guard file.isProgram else { return [] }
        return file.lines.enumerated().compactMap { index, line in
            let words = line.comment.drop { "/# ".contains($0) }
            guard words.hasPrefix(opening) else { return nil }
            let parts = words.dropFirst(opening.count).split(separator: ",", maxSplits: 1)
            return Waiver(
                rule: String(parts.first ?? "").trimmed(), line: index + 1, reason: parts.count == 2 ? String(parts[1]).trimmed() : "")
        }
    }

    func finding(in file: SourceFile) -> Finding {
        guard Rule.all.contains(where: { $0.name == rule }) else {
            return file.finding(line - 1, "a waiver of `\(rule)`, which is no rule", "see `tools/tidy --rules`")
        }
        if reason.isEmpty {
            return file.finding(line - 1, "a waiver of `\(rule)` without a reason", "write `\(Self.opening)\(rule), because ...`")
        }
        return file.finding(line - 1, "a waiver of `\(rule)` with nothing to excuse", "remove it")
    }
}

extension SourceFile {
    /// - Parameter index: the line, counted from 0.
    func finding(_ index: Int, _ problem: String, _ remedy: String) -> Finding {
        Finding(path: path, line: index + 1, problem: problem, remedy: remedy)
    }

    /// A finding for each line whose code has one of the words, in any of which `remedy` says what to do instead.
    func findings(ofCode words: [String], _ problem: (String) -> String, _ remedy: String) -> [Finding] {
        lines.enumerated().compactMap { index, line in
            words.first { line.code.hasWord($0) }.map { finding(index, problem($0), remedy) }
        }
    }
}
