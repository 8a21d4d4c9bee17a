public import ArgumentParser
internal import Foundation
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

    public init(status: Int32 = ExitStatus.failure, _ description: String) {
        self.status = status
        self.description = description
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

/// Parses the command line, runs the command, and ends the process with its status.
public func runProgram<Root: ParsableCommand>(_: Root.Type) -> Never {
    LocalJob.bindToLauncher()
    setUpLogging()
    let name = Root.configuration.commandName ?? "verbena"
    let command: any ParsableCommand
    do {
        command = try Root.parseAsRoot()
        try (command as? any Program)?.check()
    } catch let failure as Failure {
        end(name, failure.description, status: failure.status)
    } catch {
        if Root.exitCode(for: error).isSuccess {  // --help and --version
            say(Root.fullMessage(for: error))
            exit(0)
        }
        end(name, "\(Root.message(for: error)); see \(name) --help", status: ExitStatus.usage)
    }
    guard let program = command as? any Program else {
        say(Root.helpMessage())
        exit(0)
    }
    do {
        exit(try program.work())
    } catch let failure as Failure {
        end(name, failure.description, status: failure.status)
    } catch {
        end(name, "\(error)", status: ExitStatus.failure)
    }
}

/// One line on stderr, in one write, so that lines of several ranks do not mix.
private func end(_ name: String, _ message: String, status: Int32) -> Never {
    let line = message.split(whereSeparator: \.isNewline).joined(separator: " ")
    FileHandle.standardError.write(Data("\(name): \(line)\n".utf8))
    exit(status)
}

/// `VERBENA_LOG` sets the level (trace, debug, info, notice, warning, error); warnings and worse by default, on stderr.
private func setUpLogging() {
    let level = ProcessInfo.processInfo.environment["VERBENA_LOG"].flatMap(Logger.Level.init(rawValue:)) ?? .warning
    LoggingSystem.bootstrap { label in
        var handler = StreamLogHandler.standardError(label: label)
        handler.logLevel = level
        return handler
    }
}

/// A line of the program's proper output, out at once: also into a pipe.
public func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}

/// Writes a value as JSON with sorted keys, whole or not at all.
public func writeJSON(_ value: some Encodable, to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do {
        try (encoder.encode(value) + Data("\n".utf8)).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
        throw Failure("cannot write \(path): \(error.localizedDescription); give a file in a folder that exists and may be written")
    }
}
