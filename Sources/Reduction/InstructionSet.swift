internal import CKernels

/// One of the instruction sets that the kernels are compiled for. For tests and benchmarks: everything else takes what start-up chose.
package struct InstructionSet: Sendable, CustomStringConvertible {
    /// "avx512", "avx2", "sse2", "neon" or "portable".
    package let description: String
    /// Its place in the table of sets that this processor has.
    fileprivate let index: Int

    /// The sets that this processor has, best first: the first is what start-up chose.
    package static let available: [InstructionSet] = (0...).lazy
        // SAFETY: the table and the names in it are constants of the program.
        .map { index in
            unsafe kernel_set_at(index).map { unsafe InstructionSet(description: String(cString: kernel_set_name($0)), index: index) }
        }
        .prefix { $0 != nil }.compactMap { $0 }

    /// The kernels behind it.
    var kernels: OpaquePointer {
        // SAFETY: the table and what it points to are constants of the program.
        guard let set = unsafe kernel_set_at(index) else { fatalError("instruction set \(description) has gone from the table") }
        return unsafe set
    }
}
