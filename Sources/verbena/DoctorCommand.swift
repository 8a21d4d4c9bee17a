import ArgumentParser
import CommandLineSupport
internal import Diagnosis
import Trainer
import Verbena

struct DoctorCommand: Program {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Says what this machine offers and lacks, and what to do about each lack.",
        discussion: """
            Looks at RDMA devices (ports, link layer, MTU, GIDs, addresses), the rights to use them, the limit of locked memory, soft-RoCE, \
            shared memory, the variables of launchers, OpenBLAS' kernels, and the memory, cores and open files that limits leave. Changes nothing.
            Exit status: 0 if jobs of several ranks can run here, on whatever fabric; 1 if not.
            """)

    func work() throws -> Int32 {
        let report = DoctorReport.ofThisMachine(adding: [Self.openBLAS])
        try say("\(report)")
        return report.hasFabric ? 0 : ExitStatus.failure
    }

    private static var openBLAS: DoctorReport.Finding {
        if let failure = BLAS.failure {
            return .init(
                .lack, "OpenBLAS", "verbena train cannot use it: \(failure)",
                remedy: "tools/setup build, or apt-get install libopenblas0")
        }
        let others = "one thread a rank (OPENBLAS_CORETYPE chooses others)"
        return .init(.note, "OpenBLAS", "version \(BLAS.version), \(BLAS.kernelName) kernels: \(BLAS.reason); \(others)")
    }
}
