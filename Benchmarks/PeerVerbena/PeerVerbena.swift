import ArgumentParser
import CMeasure
import CommandLineSupport
import Foundation
import Verbena

/// Our collectives in the loop that measures every peer (`Benchmarks/peers.d/measure.c`), for `Benchmarks/peers`.
@main
struct PeerVerbena: Program {
    static let configuration = CommandConfiguration(
        commandName: "peer-verbena", abstract: "Our collectives in the loop that measures every peer; run by Benchmarks/peers.",
        version: Communicator.version)

    @OptionGroup
    var job: JobOptions

    @Option(help: "Whose memory is exchanged: the engine's own, or what every peer gets, which is registered.")
    var buffers = Buffers.engine

    @Argument(help: "What measure.h asks for, after all options: PAGE COLLECTIVE PLACE SIZES MODES SECONDS WIRE.")
    var arguments: [String]

    static func main() { runProgram(Self.self) }

    func check() throws {
        // SAFETY: the process's arguments, the last of which are seen to be these.
        guard arguments.count == 7, arguments == CommandLine.arguments.suffix(7), unsafe largest_size(7, words) > 0 else {
            throw ValidationError("give PAGE COLLECTIVE PLACE SIZES MODES SECONDS WIRE after all options, as measure.h says")
        }
    }

    /// Where C has `arguments`.
    // SAFETY: the process's own, which live as long as it.
    private var words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?> {
        unsafe CommandLine.unsafeArgv + Int(CommandLine.argc) - arguments.count
    }

    /// Memory of the caller's lives as long as the process.
    private func buffer(of count: Int, _ communicator: Communicator) throws -> Buffer<Float> {
        guard buffers == .caller else { return try communicator.allocate(Float.self, count: count) }
        // SAFETY: nobody else has the memory.
        let memory = unsafe allocate_buffer(count * MemoryLayout<Float>.stride)
        return unsafe try communicator.register(UnsafeMutableBufferPointer(start: memory, count: count))
    }

    func work() throws -> Int32 {
        try job.run { communicator in
            // SAFETY: as in `check`.
            let count = unsafe largest_size(Int32(arguments.count), words) / MemoryLayout<Float>.stride
            let subject = Subject(
                communicator, input: try buffer(of: arguments[2] == "in" ? 0 : count, communicator),
                output: try buffer(of: count, communicator))
            unsafe Subject.current = Unmanaged.passUnretained(subject)
            // SAFETY: the subject and its buffers outlive the call, and so do the process's arguments.
            return withExtendedLifetime(subject) {
                unsafe measure(
                    Int32(communicator.rank), Int32(communicator.worldSize), { unsafe Subject.perform($0) },
                    subject.input.elements.baseAddress, subject.output.elements.baseAddress, Int32(arguments.count), words)
            }
        }
    }
}

enum Buffers: String, CaseIterable, ExpressibleByArgument {
    case engine, caller
}

/// What the loop calls, which hands on neither communicator nor buffers.
final class Subject {
    private let communicator: Communicator
    let input, output: Buffer<Float>
    /// Unmanaged, because four reference counts would be an eighth of a small call.
    // SAFETY: set before the loop, touched by its thread alone, and alive as long.
    nonisolated(unsafe) static var current: Unmanaged<Subject>?

    init(_ communicator: Communicator, input: Buffer<Float>, output: Buffer<Float>) {
        (self.communicator, self.input, self.output) = (communicator, input, output)
    }

    /// - Returns: where the result begins, nil after a failure, as the loop wants it.
    // SAFETY: as said of `current`; the call lives as long as this one.
    static func perform(_ call: UnsafePointer<call>?) -> UnsafePointer<Float>? {
        guard let current = unsafe current, let call = unsafe call else { return nil }
        return unsafe current._withUnsafeGuaranteedRef { unsafe $0.perform(call.pointee) ? UnsafePointer(call.pointee.output) : nil }
    }

    // SAFETY: of the call only numbers are read; the loop's pointers are not followed.
    private func perform(_ call: call) -> Bool {
        let inPlace = unsafe call.in_place != 0
        do {
            // In place, the engine is told of the larger buffer and finds the block in it, as the loop did.
            try communicator.perform(
                collective(unsafe call.collective), inPlace ? output : input, into: inPlace ? nil : output, count: unsafe call.count)
            return true
        } catch {
            FileHandle.standardError.write(Data("peer-verbena: \(error)\n".utf8))
            return false
        }
    }

    private func collective(_ name: collective) -> Collective {
        switch name {
        case collective_reduce_scatter: .reduceScatter
        case collective_allgather: .allGather
        case collective_broadcast: .broadcast(root: 0)
        case collective_reduce: .reduce(root: 0)
        case collective_alltoall: .allToAll
        case collective_gather: .gather(root: 0)
        case collective_scatter: .scatter(root: 0)
        default: .allReduce
        }
    }
}
