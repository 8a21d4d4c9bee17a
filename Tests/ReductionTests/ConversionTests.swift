import Reduction
import Testing

/// Conversions between halves and `float`, over every bit pattern.
@Suite struct ConversionTests {
    static let patterns = (0...UInt16.max).map { $0 }

    /// One source and no division widens and narrows again: every value comes back as it was, every NaN as the canonical one.
    @Test func everyHalfComesBack() {
        for set in InstructionSet.available {
            let halves = reduced(.sum, [Self.patterns.map(Float16.init(bitPattern:))], divisor: 0, on: set).map(\.bitPattern)
            #expect(halves == Self.patterns.map { Float16(bitPattern: $0).isNaN ? 0x7e00 : $0 }, "\(set)")
            let brains = reduced(.sum, [Self.patterns.map(BFloat16.init(bitPattern:))], divisor: 0, on: set).map(\.bitPattern)
            #expect(brains == Self.patterns.map { BFloat16(bitPattern: $0).float.isNaN ? 0x7fc0 : $0 }, "\(set)")
        }
    }

    /// Quotients fall anywhere between two halves, and on ties; large divisors make all of them subnormal.
    @Test(arguments: [2, 3, 7, 1 << 10, 3 << 11, 40_000_000])
    func everyQuotientRoundsLikeSwift(divisor: Int) {
        let values = Self.patterns.map(Float16.init(bitPattern:))
        let answers = values.map { Float16.reduced(.average, [$0], divisor: divisor).bitPattern }
        for set in InstructionSet.available {
            #expect(reduced(.average, [values], divisor: divisor, on: set).map(\.bitPattern) == answers, "\(set)")
        }
        let brains = Self.patterns.map(BFloat16.init(bitPattern:))
        let brainAnswers = brains.map { BFloat16.reduced(.average, [$0], divisor: divisor).bitPattern }
        for set in InstructionSet.available {
            #expect(reduced(.average, [brains], divisor: divisor, on: set).map(\.bitPattern) == brainAnswers, "\(set)")
        }
    }

    @Test func brainsAreFloatsExactly() {
        #expect(Self.patterns.allSatisfy { BFloat16(bitPattern: $0).float.bitPattern == UInt32($0) << 16 })
        #expect(Float(BFloat16(bitPattern: 0x3fc0)) == 1.5)
        #expect("\(BFloat16(1.5))" == "1.5")
    }

    /// Between each value and the next away from zero: below the middle, on it, above it.
    @Test func brainsRoundToNearestAndTiesToEven() {
        for pattern in Self.patterns {
            let exact = UInt32(pattern) << 16
            func rounded(_ rest: UInt32) -> UInt16 { BFloat16(Float(bitPattern: exact | rest)).bitPattern }
            if BFloat16(bitPattern: pattern).float.isNaN {
                #expect([0, 1, 0x8000, 0xffff].map(rounded).allSatisfy { $0 == pattern | 0x40 })
            } else if Float(bitPattern: exact).isInfinite {
                #expect(rounded(0) == pattern)
                #expect(rounded(1) == pattern | 0x40, "a NaN whose payload has no upper bit")
            } else {
                #expect([0, 1, 0x7fff].map(rounded).allSatisfy { $0 == pattern })
                #expect([0x8001, 0xffff].map(rounded).allSatisfy { $0 == pattern + 1 })
                #expect(rounded(0x8000) == pattern + pattern % 2)
            }
        }
    }

    @Test func brainsCompareAsNumbers() {
        #expect(BFloat16(0) == BFloat16(-0))
        #expect(BFloat16(.nan) != BFloat16(.nan))
        #expect(BFloat16(-2) < BFloat16(1))
    }
}
