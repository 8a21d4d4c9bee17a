internal import CKernels

/// The arithmetic of reductions on raw memory. Knows no network; the same bits on every instruction set.
///
/// All pointers are borrowed for the call. Arrays are dense, aligned to their element, and do not overlap.
public enum Kernels {
    /// `into[i] = into[i] + from[i]` for `count` elements.
    public static func accumulate(
        _ type: ElementType, into: UnsafeMutableRawPointer, from: UnsafeRawPointer, count: Int
    ) {
        // SAFETY: the caller vouches for `count` elements behind both pointers for the length of the call.
        switch type {
        case .float32:
            unsafe kernel_sum_f32(
                into.assumingMemoryBound(to: Float.self), from.assumingMemoryBound(to: Float.self), count)
        case .float64:
            unsafe kernel_sum_f64(
                into.assumingMemoryBound(to: Double.self), from.assumingMemoryBound(to: Double.self), count)
        }
    }

    /// What is left to do once every rank's part is in: nothing for a sum, the division for an average over `ranks`.
    public static func finish(
        _ operation: ReductionOperation, _ type: ElementType, _ values: UnsafeMutableRawPointer, count: Int, ranks: Int
    ) {
        guard operation == .average, ranks > 1 else { return }
        // SAFETY: the caller vouches for `count` elements behind the pointer for the length of the call.
        switch type {
        case .float32: unsafe kernel_divide_f32(values.assumingMemoryBound(to: Float.self), Float(ranks), count)
        case .float64: unsafe kernel_divide_f64(values.assumingMemoryBound(to: Double.self), Double(ranks), count)
        }
    }
}
