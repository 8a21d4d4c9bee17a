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
            shared memory, the variables of launchers, the library that multiplies matrices, and the memory, cores and open files that limits leave. Changes nothing.
            Exit status: 0 if jobs of several ranks can run here, on whatever fabric; 1 if not.
            """)

    func work() throws -> Int32 {
        let report = DoctorReport.ofThisMachine(adding: [Self.math])
        try say("\(report)")
        return report.hasFabric ? 0 : ExitStatus.failure
    }

    private static var math: DoctorReport.Finding {
        if let failure = BLAS.failure { return .init(.lack, "math", "verbena train cannot multiply: \(failure)", remedy: BLAS.remedy) }
        let others = "one thread a rank (VERBENA_MATH and OPENBLAS_CORETYPE choose others)"
        return .init(.note, "math", "\(BLAS.library) \(BLAS.version), \(BLAS.kernelName) kernels: \(BLAS.reason); \(others)")
    }
}
