/// How long things may grow before nobody reads them whole.
public enum SizeLimit {
    /// What a file aims at; more is told, not punished.
    public static let fileAimLines = 300
    public static let fileLines = 600
    /// A tall screen.
    public static let functionLines = 70
    /// Larger files belong where data lives, not in every clone.
    public static let fileBytes = 1 << 20
}

extension Rule {
    static let sizes: [Rule] = [
        Rule("file-length", "A program's file aims at \(SizeLimit.fileAimLines) lines and has at most \(SizeLimit.fileLines).") { file in
            guard file.isProgram, file.lines.count > SizeLimit.fileLines else { return [] }
            return [
                file.finding(
                    SizeLimit.fileLines, "the file has \(file.lines.count) lines, the limit is \(SizeLimit.fileLines)",
                    "give a capability its own file (`Type+Capability.swift`)")
            ]
        },
        Rule("function-length", "A function fits on a screen: at most \(SizeLimit.functionLines) lines.") { file in
            file.declarations.filter { $0.kind == .function && $0.lineCount > SizeLimit.functionLines }.map { function in
                file.finding(
                    function.first, "the function has \(function.lineCount) lines, the limit is \(SizeLimit.functionLines)",
                    "give its steps names as functions of their own")
            }
        },
        Rule("large-file", "No file is larger than 1 MiB.") { file in
            guard file.byteCount > SizeLimit.fileBytes else { return [] }
            return [
                file.finding(
                    0, "the file has \(file.byteCount) bytes, the limit is \(SizeLimit.fileBytes)", "generate it, or fetch it when needed")
            ]
        },
    ]
}

extension SourceFile {
    /// Longer than the aim, though within the limit: worth a word in the summary.
    public var isOverAim: Bool { isProgram && lines.count > SizeLimit.fileAimLines }
}
