internal import CKernels

/// Encoding and decoding of `float` elements for the wire. As of all kernels, the bits depend on values and their order alone; see `WireFormat` for
/// what each format makes of them. Blocks are counted from the first element of a call.
extension Kernels {
    /// Encodes `count` elements of `values`, which stay as they are.
    ///
    /// - Parameters:
    ///   - format: any but `plain`.
    ///   - residual: nil, or `count` elements that are added to the values before, and that the encoding's error is left in: what is to be sent the next
    ///     time. Where something infinite or NaN was sent, 0 is left, in `int8` for the whole block.
    ///   - encoded: room for `format.byteCount(of: count)` bytes, apart from the others.
    public static func encode(
        _ format: WireFormat, _ values: UnsafeRawPointer, residual: UnsafeMutableRawPointer?, into encoded: UnsafeMutableRawPointer,
        count: Int
    ) {
        // SAFETY: the caller vouches for the arrays for the length of the call; the chosen set is a constant of the program.
        unsafe encode(format, values, residual: residual, into: encoded, count: count, kernels: kernel_set_chosen())
    }

    /// The elements that `encode` has made `encoded` of, but for what the format loses.
    public static func decode(
        _ format: WireFormat, _ encoded: UnsafeRawPointer, into values: UnsafeMutableRawPointer, count: Int
    ) {
        // SAFETY: as above.
        unsafe decode(format, encoded, into: values, count: count, kernels: kernel_set_chosen())
    }

    /// `into[i] = own[i] ∘ part 0 [i] ∘ part 1 [i] ∘ ...` in `float`, the parts being encoded.
    ///
    /// - Parameters:
    ///   - encoded: the first part, of `count` elements; each further one begins `stride` bytes later.
    ///   - parts: how many; at least 1.
    ///   - into: may be `own`.
    ///   - ranks: that an average is over: all parts and the own one are scaled and divided as `reduce` does it.
    public static func reduce(
        _ operation: ReductionOperation, _ format: WireFormat, own: UnsafeRawPointer, encoded: UnsafeRawPointer, stride: Int, parts: Int,
        into: UnsafeMutableRawPointer, count: Int, ranks: Int
    ) {
        // SAFETY: as above.
        unsafe reduce(
            operation, format, own: own, encoded: encoded, stride: stride, parts: parts, into: into, count: count, ranks: ranks,
            kernels: kernel_set_chosen())
    }

    /// `encode` by an instruction set that the caller chooses, for tests and benchmarks.
    package static func encode(
        _ format: WireFormat, _ values: UnsafeRawPointer, residual: UnsafeMutableRawPointer?, into encoded: UnsafeMutableRawPointer,
        count: Int, on set: InstructionSet
    ) {
        // SAFETY: as above.
        unsafe encode(format, values, residual: residual, into: encoded, count: count, kernels: set.kernels)
    }

    /// `decode` by an instruction set that the caller chooses, for tests and benchmarks.
    package static func decode(
        _ format: WireFormat, _ encoded: UnsafeRawPointer, into values: UnsafeMutableRawPointer, count: Int, on set: InstructionSet
    ) {
        // SAFETY: as above.
        unsafe decode(format, encoded, into: values, count: count, kernels: set.kernels)
    }

    /// `reduce` of encoded parts by an instruction set that the caller chooses, for tests and benchmarks.
    package static func reduce(
        _ operation: ReductionOperation, _ format: WireFormat, own: UnsafeRawPointer, encoded: UnsafeRawPointer, stride: Int, parts: Int,
        into: UnsafeMutableRawPointer, count: Int, ranks: Int, on set: InstructionSet
    ) {
        // SAFETY: as above.
        unsafe reduce(
            operation, format, own: own, encoded: encoded, stride: stride, parts: parts, into: into, count: count, ranks: ranks,
            kernels: set.kernels)
    }

    private static func encode(
        _ format: WireFormat, _ values: UnsafeRawPointer, residual: UnsafeMutableRawPointer?, into encoded: UnsafeMutableRawPointer,
        count: Int, kernels: OpaquePointer
    ) {
        check(format, count)
        // SAFETY: the caller vouches for the arrays for the length of the call.
        unsafe kernel_encode(kernels, UInt32(format.rawValue), values, residual, encoded, count)
    }

    private static func decode(
        _ format: WireFormat, _ encoded: UnsafeRawPointer, into values: UnsafeMutableRawPointer, count: Int, kernels: OpaquePointer
    ) {
        check(format, count)
        // SAFETY: the caller vouches for the arrays for the length of the call.
        unsafe kernel_decode(kernels, UInt32(format.rawValue), encoded, values, count)
    }

    private static func reduce(
        _ operation: ReductionOperation, _ format: WireFormat, own: UnsafeRawPointer, encoded: UnsafeRawPointer, stride: Int, parts: Int,
        into: UnsafeMutableRawPointer, count: Int, ranks: Int, kernels: OpaquePointer
    ) {
        check(format, count)
        guard parts > 0, stride >= 0 else { fatalError("a reduction of \(parts) encoded parts, \(stride) bytes from each other") }
        // SAFETY: the caller vouches for the arrays for the length of the call.
        unsafe kernel_reduce_encoded(
            kernels, UInt32(operation.rawValue), UInt32(format.rawValue), own, encoded, stride, parts, into, count, ranks)
    }

    private static func check(_ format: WireFormat, _ count: Int) {
        guard format != .plain, count >= 0 else { fatalError("\(count) elements encoded as \(format)") }
    }
}
