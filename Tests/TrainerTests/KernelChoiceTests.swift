import Testing

@testable import Trainer

/// Which of OpenBLAS' kernels a CPU gets, from tables; what the library then does is in Tests/end-to-end/kernels.
@Suite("Choice of kernels")
struct KernelChoiceTests {
    private static func choice(
        _ vendor: String, _ family: Int, avx: Bool = true, avx2: Bool = true, avx512: Bool = false
    ) -> String? {
        ProcessorFeatures(vendor: vendor, family: family, hasAVX: avx, hasAVX2AndFMA: avx2, hasAVX512: avx512).kernels?.name
    }

    @Test("a CPU with AVX-512 gets kernels for it, whatever its model")
    func avx512() {
        #expect(Self.choice("GenuineIntel", 6, avx512: true) == "SkylakeX")
        #expect(Self.choice("GenuineIntel", 19, avx512: true) == "SkylakeX")
        #expect(Self.choice("AuthenticAMD", 0x1A, avx512: true) == "SkylakeX")
    }

    @Test("but for Zen 4, which is faster without it")
    func zen4() { #expect(Self.choice("AuthenticAMD", 0x19, avx512: true) == "Haswell") }

    @Test(
        "AVX2 and FMA are enough for Haswell's kernels, whoever made the CPU",
        arguments: [("GenuineIntel", 6), ("AuthenticAMD", 0x17), ("HygonGenuine", 0x18), ("AuthenticAMD", 15), ("", 0)])
    func avx2(vendor: String, family: Int) { #expect(Self.choice(vendor, family) == "Haswell") }

    @Test("older CPUs: AVX alone has kernels too; of the others the library knows more than we")
    func older() {
        #expect(Self.choice("GenuineIntel", 6, avx2: false) == "Sandybridge")
        #expect(Self.choice("GenuineIntel", 6, avx: false, avx2: false) == nil)
        #expect(Self.choice("AuthenticAMD", 0x15) == nil && Self.choice("AuthenticAMD", 0x15, avx2: false) == nil)
        #expect(Self.choice("", 0, avx: false, avx2: false) == nil)
    }

    @Test("the library is there, tells what it is, and why")
    func loaded() {
        #expect(BLAS.failure == nil)
        #expect(!BLAS.kernelName.isEmpty && BLAS.version.contains(".") && !BLAS.reason.isEmpty)
        #expect(BLAS.description == "\(BLAS.kernelName) kernels of OpenBLAS \(BLAS.version)")
    }
}
