internal import COpenBLAS

/// What OpenBLAS is told to take, and why.
struct KernelChoice: Equatable {
    var name: String
    var reason: String
}

/// What the choice goes by.
struct ProcessorFeatures {
    var vendor: String
    var family: Int
    var hasAVX: Bool
    var hasAVX2AndFMA: Bool
    var hasAVX512: Bool

    static var ofThisMachine: ProcessorFeatures {
        let processor = blas_processor()
        let vendor = unsafe withUnsafeBytes(of: processor.vendor) { bytes in
            // SAFETY: read during the call only.
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return ProcessorFeatures(
            vendor: vendor, family: Int(processor.family), hasAVX: processor.has_avx, hasAVX2AndFMA: processor.has_avx2_and_fma,
            hasAVX512: processor.has_avx512)
    }

    /// Whether oneDNN's product is the faster one: with AVX-512 up to 1.6 times on Intel and 1.05 times on Zen 4, with AVX2 alone not at all.
    var prefersOneDNN: Bool { hasAVX512 }

    private static let amd = "AuthenticAMD"
    /// Bulldozer to Excavator, all older than the library, which has kernels of their own for them.
    private static let bulldozerFamily = 0x15
    /// Zen 3 and Zen 4. Zen 4 runs AVX-512 in two halves; the Haswell kernels were 1.1 to 1.6 times as fast as the SkylakeX ones.
    private static let zen4Family = 0x19

    /// The kernels to ask for: by what the CPU can do, never by its model, so that a CPU that is newer than the library gets good ones. On one machine
    /// always the same; nil where the library is to choose.
    ///
    /// Few kinds, because ranks whose kernels differ differ in their bits: AMD's AVX2 CPUs get Haswell kernels too, which are as fast there
    /// as those named Zen. Below AVX2 the names say little about the speed: on one CPU Prescott's kernels beat Nehalem's.
    var kernels: KernelChoice? {
        if vendor == Self.amd, family == Self.bulldozerFamily { return nil }
        if hasAVX512 {
            return vendor == Self.amd && family == Self.zen4Family
                ? KernelChoice(name: "Haswell", reason: "the fastest on Zen 4, whose AVX-512 works in halves")
                : KernelChoice(name: "SkylakeX", reason: "the best for a CPU with AVX-512")
        }
        if hasAVX2AndFMA { return KernelChoice(name: "Haswell", reason: "the best for a CPU with AVX2 and FMA, but no AVX-512") }
        if hasAVX { return KernelChoice(name: "Sandybridge", reason: "the best for a CPU with AVX, but no AVX2") }
        return nil
    }
}
