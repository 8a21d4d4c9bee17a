import Foundation
import HouseStyle

let usage = """
    usage: tools/tidy [--help] [--rules] [--api] [PATH...]

    Checks the files of this repository (tracked, or new and not ignored) against the house style.
    Each breach is a line `path:line: what is wrong; remedy`, then comes a summary.

      PATH     check only the files at or below these paths, relative to the repository's root
      --rules  list the rules
      --api    write what docs/API.md says of the public face anew, from the sources
      --help   print this

    A rule is waived for one line by a comment on it: `tidy: allow RULE, because ...`.
    exit status: 0 tidy, 1 not tidy, 2 wrong usage or no repository.
    """

/// - Returns: the exit status.
func tidy(_ paths: [String]) throws -> Int32 {
    let start = ContinuousClock.now
    let names = try Repository.files(under: paths)
    guard !names.isEmpty else { throw TidyError("no file at or below \(paths.joined(separator: ", "))", "give paths from the root") }
    var findings = 0
    var overAim = 0
    for name in names {
        guard let file = Repository.read(name) else { continue }
        // What depends on other files is told of the page.
        let found = Rule.findings(in: file) + (name == PublicFace.page ? try publicFace().findings(in: file) : [])
        for finding in found { print(finding) }
        findings += found.count
        overAim += file.isOverAim ? 1 : 0
    }
    let milliseconds = (ContinuousClock.now - start) / .milliseconds(1)
    let verdict = findings == 0 ? "tidy" : "\(findings) findings"
    print(
        "\(verdict): \(names.count) files, \(Rule.all.count) rules, \(overAim) files over the aim of \(SizeLimit.fileAimLines) lines,",
        "\(Int(milliseconds)) ms")
    return findings == 0 ? 0 : 1
}

/// The declarations that users of the library see.
func publicFace() throws -> PublicFace { PublicFace(try Repository.files(under: ["Sources"]).compactMap(Repository.read)) }

/// - Returns: the exit status.
func writePage() throws -> Int32 {
    guard let page = Repository.read(PublicFace.page) else { throw TidyError("there is no \(PublicFace.page)", "restore it") }
    try Data(try publicFace().rendered(page).utf8).write(to: URL(fileURLWithPath: PublicFace.page))
    return 0
}

func complain(_ text: String) -> Never {
    FileHandle.standardError.write(Data("tidy: \(text)\n".utf8))
    exit(2)
}

let arguments = Array(CommandLine.arguments.dropFirst())
if arguments.contains("--help") || arguments.contains("-h") {
    print(usage)
    exit(0)
}
if arguments == ["--rules"] {
    for rule in Rule.all { print(rule.name.padding(toLength: 22, withPad: " ", startingAt: 0) + rule.summary) }
    exit(0)
}
if arguments == ["--api"] {
    do { exit(try writePage()) } catch { complain("\(error)") }
}
if let option = arguments.first(where: { $0.hasPrefix("-") }) { complain("unknown option \(option); see tools/tidy --help") }
do { exit(try tidy(arguments)) } catch { complain("\(error)") }
