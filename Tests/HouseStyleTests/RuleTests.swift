import Testing

@testable import HouseStyle

/// What one rule says of one text: a file that breaks it and one, as close as may be, that keeps it.
struct Example: Sendable, CustomTestStringConvertible {
    var rule: String
    var path: String
    var broken: String
    /// Where the finding must point, counted from 1.
    var line: Int
    var kept: String

    init(_ rule: String, _ path: String, _ broken: String, at line: Int = 1, kept: String) {
        self.rule = rule
        self.path = path
        self.broken = broken + "\n"
        self.line = line
        self.kept = kept + "\n"
    }

    var testDescription: String { "\(rule): \(broken.prefix(60).replacing("\n", with: " | "))" }
}

/// The names of the rules that `text` breaks, with their lines.
func breaches(_ path: String, _ text: String) -> [String] {
    Rule.all.flatMap { rule in
        Rule.findings(in: SourceFile(path: path, text), rules: [rule]).map { "\(rule.name):\($0.line)" }
    }
}

@Suite struct RuleTests {
    @Test(arguments: Example.all)
    func brokenTextIsFoundAndKeptTextIsNot(_ example: Example) {
        #expect(breaches(example.path, example.broken) == ["\(example.rule):\(example.line)"])
        #expect(breaches(example.path, example.kept) == [])
    }

    @Test func everyRuleHasAnExample() {
        let shown = Set(Example.all.map(\.rule))
        #expect(Set(Rule.all.map(\.name)).symmetricDifference(shown) == ["file-length", "final-newline", "large-file"])
    }

    @Test func ruleNamesAreUnique() {
        #expect(Set(Rule.all.map(\.name)).count == Rule.all.count)
    }

    @Test func fileLengthIsLimitedAndAimedAt() {
        let line = "let x = 1\n"
        #expect(breaches("Tests/A/B.swift", String(repeating: line, count: 600)) == [])
        #expect(breaches("Tests/A/B.swift", String(repeating: line, count: 601)) == ["file-length:601"])
        #expect(breaches("docs/B.md", String(repeating: line, count: 601)) == [])
        #expect(!SourceFile(path: "a.swift", String(repeating: line, count: 300)).isOverAim)
        #expect(SourceFile(path: "a.swift", String(repeating: line, count: 301)).isOverAim)
    }

    @Test func aTextEndsInOneNewline() {
        #expect(breaches("README.md", "text") == ["final-newline:1"])
        #expect(breaches("README.md", "text\n\n") == ["final-newline:2"])
        #expect(breaches("README.md", "text\n") == [])
        #expect(breaches("README.md", "") == [])
    }

    @Test func largeFilesAreFoundBinaryOrNot() {
        let mebibyte = [UInt8](repeating: 0, count: 1 << 20)
        #expect(Rule.findings(in: SourceFile(path: "data.bin", bytes: mebibyte)) == [])
        let found = Rule.findings(in: SourceFile(path: "data.bin", bytes: mebibyte + [0]))
        #expect(found.map(\.problem) == ["the file has 1048577 bytes, the limit is 1048576"])
    }

    @Test func fabricsAreNotTheCore() {
        #expect(breaches("Sources/Fabric/A.swift", "import Glibc\n") == ["pure-core:1"])
        #expect(breaches("Sources/Fabric/Verbs/A.swift", "import Glibc\n") == [])
    }

    @Test func aFindingIsOneLineThatEditorsCanFollow() throws {
        let finding = try #require(Rule.findings(in: SourceFile(path: "Tests/A/B.swift", "let a = try! b()\n")).first)
        #expect(
            finding.description
                == "Tests/A/B.swift:1: `try!` turns an error into a crash without its words; throw it on, or `try #require` in a test")
    }

    @Test func findingsComeInTheOrderOfTheLines() {
        let found = Rule.findings(in: SourceFile(path: "Tests/A/B.swift", "let a = try! b()\nlet c = 1 \nlet d = try! e()\n"))
        #expect(found.map(\.line) == [1, 2, 3])
    }
}

@Suite struct WaiverTests {
    private let sleep = "Thread.sleep(forTimeInterval: 1)"

    @Test func aWaiverWithAReasonExcusesItsLineAndRuleOnly() {
        let waiver = "// tidy: allow sleep-in-tests, because the child only has to stay"
        #expect(Rule.findings(in: SourceFile(path: "Tests/A/B.swift", "\(sleep)  \(waiver)\n")) == [])
        #expect(Rule.findings(in: SourceFile(path: "Tests/A/b", "#!/bin/sh\nsleep 9 & # tidy: allow sleep-in-tests, it is killed\n")) == [])
        #expect(Rule.findings(in: SourceFile(path: "Tests/A/B.swift", "\(waiver)\n\(sleep)\n")).count == 2)
    }

    @Test(arguments: [
        ("// tidy: allow sleep-in-tests", "without a reason"),
        ("// tidy: allow sleep-in-tests,", "without a reason"),
        ("// tidy: allow forced-try, because", "nothing to excuse"),
        ("// tidy: allow naps, because", "which is no rule"),
    ])
    func aWaiverThatExcusesNothingIsAFinding(waiver: String, problem: String) {
        let found = Rule.findings(in: SourceFile(path: "Tests/A/B.swift", "let a = 1  \(waiver)\n"))
        #expect(found.count == 1)
        #expect(found.first?.problem.contains(problem) == true)
    }
}
