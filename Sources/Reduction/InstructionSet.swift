internal import CKernels

/// One of the instruction sets that the kernels are compiled for. For tests and benchmarks: everything else takes what start-up chose.
package struct InstructionSet: Sendable, CustomStringConvertible {
    /// "avx512", "avx2", "sse2", "neon" or "portable".
    package let description: String
    /// Its place in the table of sets that this processor has.
    private let index: Int

    /// The sets that this processor has, best first: the first is what start-up chose.
    package static let available = find()

    private static func find() -> [InstructionSet] {
        var sets: [InstructionSet] = []
        // SAFETY: the table, what it points to and the names there are constants of the program.
        while let set = unsafe kernel_set_at(sets.count) {
            unsafe sets.append(InstructionSet(description: String(cString: kernel_set_name(set)), index: sets.count))
        }
        return sets
    }

    /// The kernels behind it.
    var kernels: OpaquePointer {
        // SAFETY: the table and what it points to are constants of the program.
        guard let set = unsafe kernel_set_at(index) else { fatalError("instruction set \(description) has gone from the table") }
        return unsafe set
    }
}
