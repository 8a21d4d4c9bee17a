internal import CKernels

/// The arithmetic of reductions on raw memory. Knows no network.
///
/// *Bits.* A result depends on the operation, the type, and the sources in their order, on nothing else: neither on the instruction
/// set, nor on alignment, nor on how a range is cut into calls. This holds in the processor's usual floating-point mode (rounding to
/// nearest, subnormals kept).
/// - Each call folds its sources from left to right. `float` and `double` round after each step. `half` and `bfloat16` are folded in
///   `float` over all sources of the call, divided there for an average, and rounded once, when stored: the more sources a call has,
///   the fewer roundings.
/// - An average of finite numbers is finite, however it is cut into calls: see `Averaging`.
/// - Minimum and maximum are those of IEEE 754-2019: a NaN anywhere gives NaN, and -0 is less than +0.
/// - Whatever NaN went in, the NaN that comes out is the canonical one: quiet, sign and payload zero. It does not tell whose it was.
/// - Integers wrap. Their average divides the wrapped sum, truncating toward zero.
///
/// *Memory.* All pointers are borrowed for the call; arrays are dense and need no alignment. A destination may be the very address of a
/// source, because each element is read from every source before it is stored. Any other overlap is a programmer's error.
///
/// *Threads.* Any, at once; there is no state. Nothing allocates.
public enum Kernels {
    /// `destinations[j][i] = sources[0][i] ∘ sources[1][i] ∘ ...` for `i < count` and every `j`. One source is as good as many: it is
    /// finished and stored.
    ///
    /// - Parameters:
    ///   - sources: at least one array of `count` elements.
    ///   - destinations: arrays of `count` elements.
    ///   - averaging: for `.average`, what this call does towards it. Other operations ignore it.
    ///   - streaming: store past the caches. Worth it for destinations that are not sources and that nobody reads soon, where all arrays
    ///     together exceed the last-level cache. Stores plainly nonetheless where a destination is a source, because the reading has
    ///     brought its lines into the cache, or where destinations differ in their place within a cache line. A fence follows, so
    ///     that whoever sees what this thread stores next sees the elements as well.
    public static func reduce(
        _ operation: ReductionOperation, _ type: ElementType, sources: UnsafeBufferPointer<UnsafeRawPointer>,
        destinations: UnsafeBufferPointer<UnsafeMutableRawPointer>, count: Int, averaging: Averaging, streaming: Bool
    ) {
        // SAFETY: the caller vouches for the arrays for the length of the call; the chosen set is a constant of the program.
        unsafe reduce(
            operation, type, sources: sources, destinations: destinations, count: count, averaging: averaging, streaming: streaming,
            kernels: kernel_set_chosen())
    }

    /// `into[i] = left[i] ∘ right[i]` for `i < count`: `reduce` of two sources into one destination. `into` may be `left` or `right`.
    public static func combine(
        _ operation: ReductionOperation, _ type: ElementType, _ left: UnsafeRawPointer, _ right: UnsafeRawPointer,
        into: UnsafeMutableRawPointer, count: Int, averaging: Averaging
    ) {
        guard count >= 0 else { fatalError("a reduction of \(count) elements") }
        // SAFETY: the caller vouches for `count` elements behind each pointer for the length of the call.
        unsafe kernel_combine(UInt32(operation.rawValue), UInt32(type.rawValue), left, right, into, count, averaging.forKernels)
    }

    /// `memcpy`, past the caches where `streaming`; then a fence follows, as in `reduce`. The ranges do not overlap.
    public static func copy(from: UnsafeRawPointer, to: UnsafeMutableRawPointer, byteCount: Int, streaming: Bool) {
        guard byteCount >= 0 else { fatalError("a copy of \(byteCount) bytes") }
        // SAFETY: the caller vouches for `byteCount` bytes behind both pointers for the length of the call.
        unsafe kernel_copy(kernel_set_chosen(), to, from, byteCount, streaming)
    }

    /// Has the caches fetch this memory, which need not exist: a hint, nothing is read.
    public static func prefetch(_ start: UnsafeRawPointer?, byteCount: Int) {
        // SAFETY: the address is not read through.
        unsafe kernel_prefetch(start, max(0, byteCount))
    }

    /// What start-up chose for this processor: "avx512", "avx2", "sse2", "neon" or "portable".
    public static var instructionSet: String {
        // SAFETY: the set and its name are constants of the program.
        unsafe String(cString: kernel_set_name(kernel_set_chosen()))
    }

    /// `reduce` by an instruction set that the caller chooses, for tests and benchmarks.
    package static func reduce(
        _ operation: ReductionOperation, _ type: ElementType, sources: UnsafeBufferPointer<UnsafeRawPointer>,
        destinations: UnsafeBufferPointer<UnsafeMutableRawPointer>, count: Int, averaging: Averaging, streaming: Bool,
        on set: InstructionSet
    ) {
        // SAFETY: the caller vouches for the arrays for the length of the call.
        unsafe reduce(
            operation, type, sources: sources, destinations: destinations, count: count, averaging: averaging, streaming: streaming,
            kernels: set.kernels)
    }

    /// `copy` by an instruction set that the caller chooses, for tests and benchmarks.
    package static func copy(
        from: UnsafeRawPointer, to: UnsafeMutableRawPointer, byteCount: Int, streaming: Bool, on set: InstructionSet
    ) {
        // SAFETY: the caller vouches for `byteCount` bytes behind both pointers for the length of the call.
        unsafe kernel_copy(set.kernels, to, from, byteCount, streaming)
    }

    private static func reduce(
        _ operation: ReductionOperation, _ type: ElementType, sources: UnsafeBufferPointer<UnsafeRawPointer>,
        destinations: UnsafeBufferPointer<UnsafeMutableRawPointer>, count: Int, averaging: Averaging, streaming: Bool,
        kernels: OpaquePointer
    ) {
        // SAFETY: the caller vouches for the arrays for the length of the call.
        guard let from = sources.baseAddress, sources.count > 0, count >= 0 else {
            fatalError("a reduction of \(count) elements from \(sources.count) sources")
        }
        guard let to = destinations.baseAddress, destinations.count > 0 else { return }
        unsafe kernel_reduce(
            kernels, UInt32(operation.rawValue), UInt32(type.rawValue), from, sources.count, to, destinations.count, count,
            averaging.forKernels, streaming)
    }
}
