public import Reduction

/// Arithmetic on gradients in their places. Bits depend on the numbers alone: element by element in one order, no fused operation, on any processor.
public enum GradientMath {
    /// Multiplies each element; by 0 it becomes 0, whatever it was. fp16 and bf16 are multiplied in fp32 and rounded once.
    /// - Parameter bytes: whole elements of a type of `ParameterLayout.types`, aligned to one.
    public static func scale(_ bytes: UnsafeMutableRawBufferPointer, _ type: ElementType, by factor: Double) {
        guard factor != 0 else {
            unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
            return
        }
        let single = Float(factor)
        // SAFETY: the caller vouches for elements of this type.
        switch type {
        case .float32: for index in unsafe bytes.of(Float.self).indices { unsafe bytes.of(Float.self)[index] *= single }
        case .float64: for index in unsafe bytes.of(Double.self).indices { unsafe bytes.of(Double.self)[index] *= factor }
        case .float16:
            let elements = unsafe bytes.of(Float16.self)
            for index in elements.indices { unsafe elements[index] = Float16(Float(elements[index]) * single) }
        case .bfloat16:
            let elements = unsafe bytes.of(BFloat16.self)
            for index in elements.indices { unsafe elements[index] = BFloat16(elements[index].float * single) }
        default: fatalError("gradients of \(type)")
        }
    }

    /// The sum of the squares, in fp64: element i is added to sum i mod 8, then the eight in pairs.
    public static func sumOfSquares(_ bytes: UnsafeMutableRawBufferPointer, _ type: ElementType) -> Double {
        // SAFETY: the caller vouches for elements of this type.
        switch type {
        case .float32: unsafe sum(bytes.of(Float.self)) { Double($0) }
        case .float64: unsafe sum(bytes.of(Double.self)) { $0 }
        case .float16: unsafe sum(bytes.of(Float16.self)) { Double($0) }
        case .bfloat16: unsafe sum(bytes.of(BFloat16.self)) { Double($0.float) }
        default: fatalError("gradients of \(type)")
        }
    }

    @inline(__always)
    private static func sum<E>(_ elements: UnsafeMutableBufferPointer<E>, _ value: (E) -> Double) -> Double {
        var sums = SIMD8<Double>.zero
        let whole = elements.count / 8 * 8
        // SAFETY: inside the elements, which the caller keeps.
        for start in stride(from: 0, to: whole, by: 8) {
            var values = SIMD8<Double>.zero
            for lane in 0..<8 { values[lane] = unsafe value(elements[start + lane]) }
            sums += values * values
        }
        for index in whole..<elements.count {
            let last = unsafe value(elements[index])
            sums[index - whole] += last * last
        }
        let four = sums.lowHalf + sums.highHalf
        let two = four.lowHalf + four.highHalf
        return two[0] + two[1]
    }
}

extension UnsafeMutableRawBufferPointer {
    /// The same memory as elements of a type.
    @unsafe @inline(__always)
    fileprivate func of<E>(_: E.Type) -> UnsafeMutableBufferPointer<E> {
        // SAFETY: as the caller vouches.
        unsafe UnsafeMutableBufferPointer(start: baseAddress?.assumingMemoryBound(to: E.self), count: count / MemoryLayout<E>.stride)
    }
}
