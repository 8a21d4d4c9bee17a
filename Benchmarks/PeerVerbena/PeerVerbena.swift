import ArgumentParser
import CMeasure
import CommandLineSupport
import Foundation
import Verbena

/// Our allreduce in the loop that measures every peer (`Benchmarks/peers.d/measure.c`), for `Benchmarks/peers`.
@main
struct PeerVerbena: Program {
    static let configuration = CommandConfiguration(
        commandName: "peer-verbena", abstract: "Our allreduce in the loop that measures every peer; run by Benchmarks/peers.",
        version: Communicator.version)

    @OptionGroup
    var job: JobOptions

    @Argument(help: "What measure.h asks for, after all options: PAGE SIZES MODES SECONDS WIRE.")
    var arguments: [String]

    static func main() { runProgram(Self.self) }

    func check() throws {
        guard arguments.count == 5, arguments == CommandLine.arguments.suffix(5), !sizes.isEmpty else {
            throw ValidationError("give PAGE SIZES MODES SECONDS WIRE after all options, as measure.h says")
        }
    }

    private var sizes: [Int] { arguments[1].split(separator: ",").compactMap { Int($0) } }

    func work() throws -> Int32 {
        try job.run { communicator in
            let buffer = try communicator.allocate(Float.self, count: (sizes.max() ?? 0) / MemoryLayout<Float>.stride)
            let subject = Subject(communicator, buffer)
            unsafe Subject.current = Unmanaged.passUnretained(subject)
            // SAFETY: the subject and the buffer outlive the call, and so do the process's arguments, the last of which `check` saw these to be.
            return withExtendedLifetime(subject) {
                unsafe measure(
                    Int32(communicator.rank), Int32(communicator.worldSize), { _, count in Subject.allReduce(count) },
                    buffer.elements.baseAddress, Int32(arguments.count), CommandLine.unsafeArgv + Int(CommandLine.argc) - arguments.count)
            }
        }
    }
}

/// What the loop calls, which hands on neither communicator nor buffer.
final class Subject {
    private let communicator: Communicator
    private let buffer: Buffer<Float>
    /// Unmanaged, because four reference counts would be an eighth of a small call.
    // SAFETY: set before the loop, touched by its thread alone, and alive as long.
    nonisolated(unsafe) static var current: Unmanaged<Subject>?

    init(_ communicator: Communicator, _ buffer: Buffer<Float>) { (self.communicator, self.buffer) = (communicator, buffer) }

    /// - Returns: nonzero after a failure, as the loop wants it.
    // SAFETY: as said of `current`.
    static func allReduce(_ count: Int) -> Int32 {
        guard let current = unsafe current else { return 1 }
        return unsafe current._withUnsafeGuaranteedRef { $0.allReduce(count) }
    }

    private func allReduce(_ count: Int) -> Int32 {
        do {
            try communicator.perform(.allReduce, buffer, count: count)
            return 0
        } catch {
            FileHandle.standardError.write(Data("peer-verbena: \(error)\n".utf8))
            return 1
        }
    }
}
