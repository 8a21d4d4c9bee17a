public import ArgumentParser
internal import Foundation
internal import Launch
internal import Logging
internal import Verbena

/// What an executable of ours does besides its work: options, exit statuses, ranks, messages.
///
/// Exit statuses: 0 done, 1 failure, 2 usage, 7 wrong data. Every failure is one line on stderr that names the remedy.
public enum ExitStatus {
    public static let failure: Int32 = 1
    public static let usage: Int32 = 2
    public static let wrongData: Int32 = 7
}

/// An error with the status that the program ends with.
public struct Failure: Error, CustomStringConvertible {
    public var status: Int32
    public var description: String
    /// Every rank of the job finds the same at the same place: one says so. As all do of what is wrong with the usage.
    public var isOfEveryRank: Bool

    public init(status: Int32 = ExitStatus.failure, _ description: String, isOfEveryRank: Bool = false) {
        self.status = status
        self.description = description
        self.isOfEveryRank = isOfEveryRank || status == ExitStatus.usage
    }
}

/// A command that runs on every rank of a job.
public protocol Program: ParsableCommand {
    /// Checks that need no peers; throws `Failure` or `ValidationError`.
    func check() throws
    /// The work of this process; the answer is its exit status.
    func work() throws -> Int32
}

extension Program {
    public func check() throws {}
}

/// Parses the command line, runs the command or subcommand, and ends the process with its status.
public func runProgram<Root: ParsableCommand>(_: Root.Type) -> Never {
    secureStandardStreams()
    LocalJob.bindToLauncher()
    // A reader that has gone is an error of the write, with a line of its own, and not a silent death.
    signal(SIGPIPE, SIG_IGN)
    let name = Root.configuration.commandName ?? "verbena"
    do {
        try setUpLogging()
        var command = try parse(Root.self)
        guard let program = command as? any Program else {
            try command.run()  // A root without its subcommand, or `help`: throws what is to be shown.
            exit(0)
        }
        exit(try program.work())
    } catch let failure as Failure {
        end(name, failure.description, status: failure.status)
    } catch let error where Root.exitCode(for: error).isSuccess {  // --help and --version
        do { try say(Root.fullMessage(for: error)) } catch { end(name, "\(error)", status: ExitStatus.failure) }
        exit(0)
    } catch {
        end(name, "\(error)", status: ExitStatus.failure)
    }
}

/// Fills the places of standard streams that are closed (`>&-`), before anything else is opened: the next file, such as memory that ranks share,
/// would get such a place, and the program's output would go into it. What fills them refuses to be written to, so output that is lost is an
/// error; to a reader it is empty.
private func secureStandardStreams() {
    for stream in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(stream, F_GETFD) < 0 {
        // SAFETY: the literal outlives the call. It opens the lowest free number, which is this one.
        _ = unsafe open("/dev/null", O_RDONLY)
    }
}

/// The command that the arguments ask for, checked.
/// - Throws: `Failure`, of status 2 where the arguments are wrong; or what asks for help, of exit code 0.
/// - Parameter arguments: nil for those of this process.
public func parse<Root: ParsableCommand>(_: Root.Type, _ given: [String]? = nil) throws -> any ParsableCommand {
    let arguments = withoutLocalRank(given ?? Array(CommandLine.arguments.dropFirst()))
    do {
        let command = try Root.parseAsRoot(arguments)
        try (command as? any Program)?.check()
        return command
    } catch let error where !(error is Failure) && !Root.exitCode(for: error).isSuccess {
        let command = commandPath(of: Root.self, arguments)
        // The parser lists an option's values line by line.
        var message = Root.message(for: error).replacing(":\n  - ", with: ": ").replacing("\n  - ", with: ", ")
        let namesValues = message.contains(": ") || message.contains("Please provide one of")
        if !namesValues, let help = helpLine(of: Root.fullMessage(for: error)) {
            message = "\(message.hasSuffix(".") ? String(message.dropLast()) : message): \(help)"
        }
        if message.hasSuffix(".") { message.removeLast() }
        throw Failure(status: ExitStatus.usage, "\(message); see \(command) --help")
    }
}

/// The arguments without `--local_rank N`, which deepspeed and older torch launchers put before them, so before a subcommand, too. They set
/// `LOCAL_RANK` as well.
private func withoutLocalRank(_ arguments: [String]) -> [String] {
    let names = ["--local_rank", "--local-rank"]
    func isRank(_ text: some StringProtocol) -> Bool { Int(text) != nil }
    var rest: [String] = []
    var next = arguments.startIndex
    while next < arguments.endIndex {
        let argument = arguments[next]
        if argument == "--" { return rest + arguments[next...] }
        if names.contains(argument), arguments.indices.contains(next + 1), isRank(arguments[next + 1]) {
            next += 2
        } else if names.contains(where: { argument.hasPrefix("\($0)=") && isRank(argument.dropFirst($0.count + 1)) }) {
            next += 1
        } else {
            rest.append(argument)
            next += 1
        }
    }
    return rest
}

/// The parser's longer message about an option has a line `Help:  --name <value>  What it is.`
/// - Returns: what it is; nil where the error is not about one option.
private func helpLine(of fullMessage: String) -> Substring? {
    let line = fullMessage.split(separator: "\n").first { $0.hasPrefix("Help:") }
    return line?.split(separator: "  ").dropFirst(2).last
}

/// Whose help an error in these arguments should point to: `verbena simulate check`.
private func commandPath(of root: any ParsableCommand.Type, _ arguments: [String]) -> String {
    let name = root.configuration.commandName ?? ""
    let next = root.configuration.subcommands.first { $0.configuration.commandName == arguments.first }
    return next.map { "\(name) \(commandPath(of: $0, Array(arguments.dropFirst())))" } ?? name
}

/// A line on stderr about something that is no error; nobody to read it is none either.
public func warn(_ line: String) { try? FileHandle.standardError.write(contentsOf: Data("warning: \(line)\n".utf8)) }

/// One line on stderr, in one write, so that lines of several ranks do not mix.
private func end(_ name: String, _ message: String, status: Int32) -> Never {
    let line = message.split(whereSeparator: \.isNewline).joined(separator: " ")
    // On a terminal rank 0's progress bar may stand in the line; it gives way.
    let start = isatty(STDERR_FILENO) == 1 ? eraseLine : ""
    try? FileHandle.standardError.write(contentsOf: Data("\(start)\(name): \(line)\n".utf8))
    exit(status)
}

/// `VERBENA_LOG` sets the level (trace, debug, info, notice, warning, error, critical); warnings and worse by default, on stderr.
private func setUpLogging() throws {
    let text = ProcessInfo.processInfo.environment["VERBENA_LOG"] ?? ""
    guard let level = text.isEmpty ? .warning : Logger.Level(rawValue: text.lowercased()) else {
        let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
        throw Failure(status: ExitStatus.usage, "VERBENA_LOG is '\(text)'; set it to one of \(levels)")
    }
    LoggingSystem.bootstrap { label in
        var handler = StreamLogHandler.standardError(label: label)
        handler.logLevel = level
        return handler
    }
}

/// Takes the cursor of a terminal to the start of its line and empties the line.
public let eraseLine = "\r\u{1b}[K"

/// A line of the program's proper output, out at once: also into a pipe.
/// - Throws: where nobody reads it any more, or the disk is full; a rank then ends the job with that reason.
public func say(_ line: String) throws { try write(line + "\n") }

/// Proper output that is not a line, such as a progress bar.
public func write(_ text: String) throws {
    do {
        try FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
    } catch {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        let cause: String
        switch underlying.map({ Int32($0.code) }) {
        case EBADF: cause = "it is closed; give it a file, a pipe or /dev/null"
        case EPIPE: cause = "its reader has gone"
        case ENOSPC: cause = "the disk is full"
        default: cause = (underlying ?? error as NSError).localizedDescription
        }
        throw Failure("cannot write to standard output: \(cause)")
    }
}

/// Writes a value as JSON with sorted keys, whole or not at all; a pipe or device is written as it is, not replaced by a file.
public func writeJSON(_ value: some Encodable, to path: String, inSnakeCase: Bool = false) throws {
    let encoder = JSONEncoder()
    if inSnakeCase { encoder.keyEncodingStrategy = .convertToSnakeCase }
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do {
        try writeText(String(decoding: encoder.encode(value), as: UTF8.self) + "\n", to: path)
    } catch let error where !(error is Failure) {
        throw unwritable(path, error.localizedDescription)
    }
}

/// Writes a text file, whole or not at all; a pipe or device is written as it is, not replaced by a file.
public func writeText(_ text: String, to path: String) throws {
    do {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: isSpecial(path) ? [] : .atomic)
    } catch {
        throw unwritable(path, error.localizedDescription)
    }
}

/// Asked before the work, so that hours of it are not lost for want of a folder.
/// - Throws: what `writeJSON` would throw, as far as that can be told in advance.
public func checkWritable(_ path: String) throws {
    guard !path.isEmpty else { throw unwritable("''", "the name is empty") }
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
    guard isFolder(folder) else { throw unwritable(path, "there is no folder \(folder)") }
    guard !isFolder(path) else { throw unwritable(path, "it is a folder") }
    guard FileManager.default.isWritableFile(atPath: isSpecial(path) ? path : folder) else { throw unwritable(path, "no permission") }
}

/// Links are followed: only a folder has an entry for itself.
private func isFolder(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path + "/.") }

private func isSpecial(_ path: String) -> Bool {
    let type = try? FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType
    return type != nil && type != .typeRegular
}

private func unwritable(_ path: String, _ cause: String) -> Failure {
    Failure("cannot write \(path): \(cause); give a file in a folder that exists and may be written")
}
