import Testing

@testable import Trainer

/// Which library and kernels a CPU gets, from tables; what they then do is in Tests/end-to-end/kernels.
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

    private static let withAVX512 = ProcessorFeatures(
        vendor: "GenuineIntel", family: 6, hasAVX: true, hasAVX2AndFMA: true, hasAVX512: true)
    private static let withAVX2 = ProcessorFeatures(
        vendor: "GenuineIntel", family: 6, hasAVX: true, hasAVX2AndFMA: true, hasAVX512: false)

    /// What is chosen where both libraries are there, or one.
    private static func library(
        _ environment: [String: String] = [:], for processor: ProcessorFeatures = withAVX512, hasOneDNN: Bool = true
    ) -> LoadedMathLibrary {
        LoadedMathLibrary.chosen(by: environment, for: processor) { request in
            switch request {
            case .openBLAS(let coreType):
                LoadedMathLibrary(library: .openBLAS, kernelName: coreType ?? environment["OPENBLAS_CORETYPE"] ?? "own")
            case .oneDNN(let isPortable):
                LoadedMathLibrary(
                    library: .oneDNN, kernelName: isPortable || !processor.hasAVX512 ? "AVX2" : "AVX512",
                    failure: hasOneDNN ? nil : "missing")
            }
        }
    }

    @Test("oneDNN where the CPU has AVX-512 and it is installed, else OpenBLAS")
    func preferred() {
        #expect(Self.library().library == .oneDNN && Self.library().kernelName == "AVX512")
        let without = Self.library(hasOneDNN: false)
        #expect(without.library == .openBLAS && without.kernelName == "SkylakeX" && without.failure == nil)
        #expect(without.reason.contains("oneDNN would be faster"))
        #expect(Self.library(for: Self.withAVX2).kernelName == "Haswell")
    }

    @Test("VERBENA_MATH wins, then OPENBLAS_CORETYPE; an empty variable is none")
    func variables() {
        #expect(Self.library(["VERBENA_MATH": "openblas"]).kernelName == "SkylakeX")
        #expect(Self.library(["VERBENA_MATH": "onednn"], for: Self.withAVX2).library == .oneDNN)
        #expect(Self.library(["VERBENA_MATH": "portable"]).kernelName == "AVX2")
        #expect(Self.library(["OPENBLAS_CORETYPE": "Haswell"]).kernelName == "Haswell")
        #expect(Self.library(["VERBENA_MATH": "onednn", "OPENBLAS_CORETYPE": "Haswell"]).library == .oneDNN)
        #expect(Self.library(["VERBENA_MATH": "", "OPENBLAS_CORETYPE": ""]).library == .oneDNN)
    }

    @Test("what was asked for by name and is not there is an error, with its remedy")
    func missing() {
        for name in ["onednn", "portable", "nonsense"] {
            let library = Self.library(["VERBENA_MATH": name], hasOneDNN: false)
            #expect(library.failure != nil && !library.remedy.isEmpty)
        }
    }

    @Test("the library is there, tells what it is, and why")
    func loaded() {
        #expect(BLAS.failure == nil)
        #expect(!BLAS.kernelName.isEmpty && BLAS.version.contains(".") && !BLAS.reason.isEmpty)
        #expect(BLAS.description == "\(BLAS.kernelName) kernels of \(BLAS.library) \(BLAS.version)")
    }
}
