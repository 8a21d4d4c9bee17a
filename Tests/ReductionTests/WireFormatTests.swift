import Reduction
import Testing

/// Every wire format on every instruction set that this processor has, against plain Swift: equal bits, and not a byte beyond.
@Suite struct WireFormatTests {
    static let formats: [WireFormat] = [.bfloat16, .float16, .int8]
    static let counts = [0, 1, 3, 15, 16, 17, 63, 65, 255, 256, 257, 511, 513, 1000, 4099]

    @Test(arguments: formats) func encodesLikeTheOracle(format: WireFormat) {
        for count in Self.counts {
            for (offset, seed) in [(0, 1), (4, 2), (7, 3)] {
                let values = Samples.mixed(count, seed)
                let residual = Samples.small(count, seed + 100)
                check(format, values, nil, offset)
                check(format, values, residual, offset)
            }
        }
    }

    /// Values of one size, so that blocks are neither NaN nor empty.
    @Test(arguments: formats) func encodesFiniteValues(format: WireFormat) {
        for exponent in [-149, -127, -126, -101, -100, -99, -25, -24, -15, -14, 0, 15, 16, 126, 127] {
            let values = Samples.near(exponent, 515)
            check(format, values, nil, 0)
            check(format, values, Samples.near(exponent - 8, 515), 0)
        }
        check(format, Array(repeating: .greatestFiniteMagnitude, count: 300), nil, 0)
        check(format, Array(repeating: -0.0, count: 300), Array(repeating: -0.0, count: 300), 0)
    }

    /// Every half there is, what lies between it and the next, and the ties.
    @Test(arguments: [WireFormat.bfloat16, .float16]) func everyHalf(format: WireFormat) {
        let oracle = WireOracle(format: format)
        let bytes = (0...UInt16.max).flatMap { [UInt8($0 & 0xff), UInt8($0 >> 8)] }
        let values = oracle.decode(bytes, count: 65536)
        for set in InstructionSet.available {
            // Nobody encodes a NaN that is not canonical.
            let all = decoded(format, bytes, 65536, 0, on: set).map { $0.isNaN ? .nan : $0 }
            #expect(bits(all) == bits(values), "\(set)")
        }
        let between = values.enumerated().map { index, value in
            let next = value.nextUp
            return value.isFinite && value != 0 ? Float(bitPattern: value.bitPattern &+ [0x0fff, 0x1000, 0x1001, 0x8000][index % 4]) : next
        }
        check(format, between, nil, 0)
        check(format, values, nil, 0)
    }

    /// What the documentation says of the error.
    @Test(arguments: formats) func errorsAreBounded(format: WireFormat) {
        let values = Samples.near(0, 4096)
        let back = WireOracle(format: format).decode(encoded(format, values, nil, 0, on: InstructionSet.available[0]).bytes, count: 4096)
        for start in stride(from: 0, to: 4096, by: 256) {
            let largest = values[start..<start + 256].map(\.magnitude).max()!
            for index in start..<start + 256 {
                let bound: Float =
                    switch format {
                    case .plain: 0
                    case .bfloat16: values[index].magnitude * 0x1p-8
                    case .float16: values[index].magnitude * 0x1p-11
                    case .int8: largest / 254 * (1 + 0x1p-20)
                    }
                #expect((values[index] - back[index]).magnitude <= bound)
            }
        }
    }

    /// Finite numbers stay finite; what is not finite is seen by everybody and forgotten in the next step.
    @Test(arguments: formats) func specialValues(format: WireFormat) {
        let values: [Float] = [.greatestFiniteMagnitude, -.greatestFiniteMagnitude, 70_000, 1]
        let back = WireOracle(format: format).decode(encoded(format, values, nil, 0, on: InstructionSet.available[0]).bytes, count: 4)
        #expect(back.allSatisfy { $0.isFinite } && back[0] > 65503 && back[1] < -65503)
        for special in [Float.infinity, -.infinity, .nan, .signalingNaN] {
            for set in InstructionSet.available {
                let (bytes, residual) = encoded(format, [1, special, 1], [1, 1, 1], 0, on: set)
                let back = WireOracle(format: format).decode(bytes, count: 3)
                #expect(!back[1].isFinite)
                #expect(residual!.allSatisfy { $0 == 0 })
            }
        }
    }

    /// Over many steps what has arrived comes to what was sent: what is still missing is one step's error.
    @Test(arguments: formats) func residualsKeepWhatIsLost(format: WireFormat) {
        let steps = 200
        for scale in [Float(1), 0x1p-30] {
            let value = Samples.near(0, 512).map { $0 * scale }
            var residual = Array(repeating: Float(0), count: 512)
            var arrived = Array(repeating: 0.0, count: 512)
            for _ in 0..<steps {
                let sent = encoded(format, value, residual, 0, on: InstructionSet.available[0])
                residual = sent.residual!
                let back = WireOracle(format: format).decode(sent.bytes, count: 512)
                for index in arrived.indices { arrived[index] += Double(back[index]) }
            }
            for index in arrived.indices {
                let missing = arrived[index] + Double(residual[index]) - Double(value[index]) * Double(steps)
                #expect(missing.magnitude < Double(scale) * 1e-3, "\(format), element \(index)")
            }
        }
    }

    @Test(arguments: formats, ReductionOperation.allCases) func folds(format: WireFormat, operation: ReductionOperation) {
        for count in [1, 255, 256, 2047, 2048, 2049, 5000] {
            for parts in [1, 2, 4] {
                let own = Samples.near(0, count)
                let others = (0..<parts).map { Samples.near($0 % 3, count, seed: $0 + 1) }
                let bytes = others.map { encoded(format, $0, nil, 0, on: InstructionSet.available[0]).bytes }
                let oracle = WireOracle(format: format)
                let back = bytes.map { oracle.decode($0, count: count) }
                let wanted = (0..<count).map { index in
                    Float.reduced(operation, [own[index]] + back.map { $0[index] }, averaging: Averaging(ranks: parts + 1, isFinal: true))
                }
                for set in InstructionSet.available {
                    #expect(bits(reduced(operation, format, own, bytes, on: set)) == bits(wanted), "\(set) \(count) \(parts)")
                }
            }
        }
    }

    @Test func sizes() {
        #expect(WireFormat.allCases.map { $0.byteCount(of: 257) } == [1028, 514, 514, 257 + 8])
        #expect(WireFormat.allCases.allSatisfy { $0.byteCount(of: 0) == 0 })
        #expect(WireFormat.allCases.map { "\($0)" } == ["fp32", "bf16", "fp16", "int8"])
    }

    // MARK: calls

    private func check(_ format: WireFormat, _ values: [Float], _ residual: [Float]?, _ offset: Int) {
        let wanted = WireOracle(format: format).encode(values, residual: residual)
        for set in InstructionSet.available {
            let got = encoded(format, values, residual, offset, on: set)
            #expect(got.bytes == wanted.bytes, "\(format), \(set), \(values.count) at \(offset)")
            #expect(got.residual.map(bits) == wanted.residual.map(bits), "\(format), \(set), \(values.count) at \(offset)")
            let back = WireOracle(format: format).decode(wanted.bytes, count: values.count)
            #expect(bits(decoded(format, wanted.bytes, values.count, offset, on: set)) == bits(back), "\(format), \(set)")
        }
    }

    private func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

    /// By way of guarded memory that begins `offset` bytes behind a cache line.
    private func encoded(
        _ format: WireFormat, _ values: [Float], _ residual: [Float]?, _ offset: Int, on set: InstructionSet
    ) -> (bytes: [UInt8], residual: [Float]?) {
        let (count, size) = (values.count, format.byteCount(of: values.count))
        let arena = Arena(byteCount: 4 * count + 64, offsets: [offset, offset, offset])
        // SAFETY: the arrays outlive the closures, the arena the calls.
        unsafe values.withUnsafeBytes { unsafe arena.load(0, $0) }
        unsafe (residual ?? []).withUnsafeBytes { unsafe arena.load(1, $0) }
        arena.clear(2, byteCount: size)
        unsafe Kernels.encode(
            format, arena.starts[0], residual: residual == nil ? nil : arena.starts[1], into: arena.starts[2], count: count, on: set)
        let bytes = unsafe Array(UnsafeRawBufferPointer(start: arena.starts[2], count: size))
        let rest = residual.map { _ in (0..<count).map { unsafe (arena.starts[1] + 4 * $0).loadUnaligned(as: Float.self) } }
        #expect(unsafe bytes.withUnsafeBytes { unsafe arena.holds(2, $0) } && values.withUnsafeBytes { unsafe arena.holds(0, $0) })
        if let rest { #expect(unsafe rest.withUnsafeBytes { unsafe arena.holds(1, $0) }) }
        return (bytes, rest)
    }

    private func decoded(_ format: WireFormat, _ bytes: [UInt8], _ count: Int, _ offset: Int, on set: InstructionSet) -> [Float] {
        let arena = Arena(byteCount: 4 * count + 64, offsets: [offset, offset])
        // SAFETY: the array outlives the closure, the arena the calls.
        unsafe bytes.withUnsafeBytes { unsafe arena.load(0, $0) }
        arena.clear(1, byteCount: 4 * count)
        unsafe Kernels.decode(format, arena.starts[0], into: arena.starts[1], count: count, on: set)
        let values = (0..<count).map { unsafe (arena.starts[1] + 4 * $0).loadUnaligned(as: Float.self) }
        #expect(unsafe values.withUnsafeBytes { unsafe arena.holds(1, $0) })
        return values
    }

    private func reduced(
        _ operation: ReductionOperation, _ format: WireFormat, _ own: [Float], _ parts: [[UInt8]], on set: InstructionSet
    ) -> [Float] {
        var result = own
        let all = parts.flatMap { $0 }
        // SAFETY: the arrays outlive the closures.
        unsafe all.withUnsafeBytes { encoded in
            unsafe result.withUnsafeMutableBytes { own in
                unsafe Kernels.reduce(
                    operation, format, own: UnsafeRawPointer(own.baseAddress!), encoded: encoded.baseAddress!, stride: parts[0].count,
                    parts: parts.count, into: own.baseAddress!, count: own.count / 4, ranks: parts.count + 1, on: set)
            }
        }
        return result
    }
}

/// Values to encode.
private enum Samples {
    /// Each third is random bits; the others round and stay finite.
    static func mixed(_ count: Int, _ seed: Int) -> [Float] { Float.samples(count: count, seed: seed) }

    static func small(_ count: Int, _ seed: Int) -> [Float] {
        (0..<count).map { Float(moderate: scrambled($0 &+ seed << 32)) * 0x1p-9 }
    }

    /// Of either sign, up to 2^exponent and not beyond the largest float.
    static func near(_ exponent: Int, _ count: Int, seed: Int = 0) -> [Float] {
        (0..<count).map { index in
            let fraction = Double(scrambled(index &+ (exponent + 999 * seed) << 32) >> 11) * 0x1p-53
            let value = (2 * fraction - 1) * Double(sign: .plus, exponent: exponent, significand: 1)
            return Float(min(max(value, -0x1.fffffep127), 0x1.fffffep127))
        }
    }
}
