import Foundation
import HouseStyle

/// Why no file could be judged at all.
struct TidyError: Error, CustomStringConvertible {
    var description: String

    init(_ problem: String, _ remedy: String) { description = "\(problem); \(remedy)" }
}

/// The files that belong to the repository in the current folder.
enum Repository {
    /// Tracked files, and new ones that are not ignored, so that a breach shows before it is committed.
    static func files(under paths: [String]) throws -> [String] {
        let git = Process()
        git.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        git.arguments = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"] + paths
        let output = Pipe()
        git.standardOutput = output
        try git.run()
        let listed = output.fileHandleForReading.readDataToEndOfFile()
        git.waitUntilExit()
        guard git.terminationStatus == 0 else { throw TidyError("git cannot list the files", "run it in a clone, with git installed") }
        return listed.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Nil for what is listed but is no plain file: deleted and not yet committed, or a symbolic link.
    static func read(_ path: String) -> SourceFile? {
        let values = try? URL(fileURLWithPath: path).resourceValues(forKeys: [.isRegularFileKey])
        guard values?.isRegularFile == true, let data = FileManager.default.contents(atPath: path) else { return nil }
        return SourceFile(path: path, bytes: Array(data))
    }
}
