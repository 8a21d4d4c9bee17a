import ArgumentParser
import CommandLineSupport
import Verbena

@main
struct VerbenaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verbena",
        abstract: "Exchanges gradients over RDMA verbs or shared memory: trains with it, looks at this machine, simulates large ones.",
        discussion: "Exit status: 0 done, 1 failure, 2 usage.",
        version: Communicator.version,
        subcommands: [
            TrainCommand.self, EvaluateCommand.self, GenerateCommand.self, DoctorCommand.self, SimulateCommand.self, PredictCommand.self,
        ])

    static func main() { runProgram(VerbenaCommand.self) }
}
