import Foundation
import Reduction

/// Three arrays, and the time of calls on them.
@safe struct Bench: ~Copyable {
    private let arrays: [UnsafeMutableRawPointer]
    private let capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
        // SAFETY: this value owns the arrays until its end; filling them takes the page faults out of the first round.
        unsafe arrays = (0..<3).map { _ in UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 4096) }
        fill(.uint8)
    }

    deinit {
        // SAFETY: the arrays are this value's own, and this is its end.
        for index in 0..<3 { unsafe arrays[index].deallocate() }
    }

    /// Every element is 1, or 100 where it is an integer: no sum, product or quotient becomes subnormal, nor a division trivial.
    func fill(_ type: ElementType) {
        let bits: UInt64 =
            switch type {
            case .float32: 0x3f80_0000_3f80_0000
            case .float64: 0x3ff0_0000_0000_0000
            case .float16: 0x3c00_3c00_3c00_3c00
            case .bfloat16: 0x3f80_3f80_3f80_3f80
            case .int8, .uint8: 0x6464_6464_6464_6464
            case .int16, .uint16: 0x0064_0064_0064_0064
            case .int32, .uint32: 0x0000_0064_0000_0064
            case .int64, .uint64: 100
            }
        for index in 0..<3 {
            // SAFETY: the arrays are this value's own, aligned, and `capacity` bytes long.
            unsafe arrays[index].initializeMemory(as: UInt64.self, repeating: bits, count: capacity / 8)
        }
    }

    /// GB/s read and written, over enough calls for the clock, by processor time.
    func measure(_ measurement: Measurement, byteCount: Int) -> Double {
        let calls = max(1, (32 << 20) / byteCount)
        let start = Self.processorSeconds()
        for _ in 0..<calls { call(measurement, byteCount: byteCount) }
        let seconds = Self.processorSeconds() - start
        return Double(measurement.shape.bytesMoved(byteCount: byteCount)) * Double(calls) / seconds / 1e9
    }

    /// What this thread has had of its core: who else wants the core does not count.
    private static func processorSeconds() -> Double {
        var time = timespec()
        // SAFETY: the structure outlives the call.
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    private func call(_ measurement: Measurement, byteCount: Int) {
        let shape = measurement.shape
        // SAFETY: the arrays are this value's own and at least `byteCount` long; the arrays of pointers outlive the closures.
        if shape == .copy || shape == .copyStreaming {
            unsafe Kernels.copy(
                from: arrays[0], to: arrays[2], byteCount: byteCount, streaming: shape.isStreaming, on: measurement.set)
            return
        }
        if let wire = shape.wire {
            if shape.decodes {
                unsafe Kernels.decode(wire, arrays[0], into: arrays[2], count: byteCount / 4, on: measurement.set)
            } else {
                unsafe Kernels.encode(
                    wire, arrays[0], residual: shape.keeps ? arrays[1] : nil, into: arrays[2], count: byteCount / 4, on: measurement.set)
            }
            return
        }
        let first = shape == .new || shape == .newStreaming ? 2 : 0
        let sources = (unsafe arrays[0], unsafe arrays[1])
        let destinations = (unsafe arrays[first], unsafe arrays[1])
        unsafe withUnsafeBytes(of: sources) { sources in
            unsafe withUnsafeBytes(of: destinations) { destinations in
                unsafe Kernels.reduce(
                    measurement.operation, measurement.type, sources: sources.assumingMemoryBound(to: UnsafeRawPointer.self),
                    destinations: UnsafeBufferPointer(
                        rebasing: destinations.assumingMemoryBound(to: UnsafeMutableRawPointer.self)[..<(shape == .both ? 2 : 1)]),
                    count: byteCount / measurement.type.byteCount, averaging: Averaging(ranks: 2, isFinal: true),
                    streaming: shape.isStreaming, on: measurement.set)
            }
        }
    }
}

/// One line of the table.
struct Measurement {
    let type: ElementType
    let operation: ReductionOperation
    let shape: Shape
    let set: InstructionSet
}
