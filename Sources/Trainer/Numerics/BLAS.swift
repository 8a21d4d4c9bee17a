internal import COpenBLAS
internal import Foundation

/// OpenBLAS as this trainer uses it: one thread, and the best kernels that this CPU can run.
///
/// OpenBLAS settles its kernels while it is loaded, by a table of CPU models. Of a model that is newer than the library it knows nothing, and then
/// version 0.3.21 takes SSE3 kernels on an Intel CPU that has AVX-512: a quarter of the speed. So we load the library at run time, on first use, and tell
/// it by its own variable `OPENBLAS_CORETYPE` what to take. A variable of the user's wins.
///
/// Kernels differ in the last bits of their results, and so do CPUs that get different ones.
public enum BLAS {
    /// The kernels that run: `Haswell`, `SkylakeX`, ...; empty where the library is missing.
    public static var kernelName: String { loaded.kernelName }
    /// The library's version, as `0.3.21`; empty where it does not tell.
    public static var version: String { loaded.version }
    /// Why these kernels run, in a clause.
    public static var reason: String { loaded.reason }
    /// Kernels and version: what the last bits of a result belong to.
    public static var description: String { "\(kernelName) kernels of OpenBLAS \(version)" }
    /// Why there is no library to compute with; nil where there is.
    public static var failure: String? { loaded.failure }

    /// Loads the library if need be.
    static let isReady = loaded.failure == nil

    /// Throws what is wrong with the library, and how to mend it.
    static func check() throws(TrainingError) { if let failure { throw .noBLAS(failure) } }

    /// What loading has come to. Made once, on first use, by whoever is first.
    private static let loaded = Loaded()

    private struct Loaded {
        var kernelName = ""
        var version = ""
        var reason = ""
        var failure: String?

        init() {
            let asked = ProcessInfo.processInfo.environment["OPENBLAS_CORETYPE"].flatMap { $0.isEmpty ? nil : $0 }
            let chosen = asked == nil ? ProcessorFeatures.ofThisMachine.kernels : nil
            // Held to one thread: two and the engine's progress thread on two cores are slower than one (measured), and a rank's speed must
            // not depend on how many ranks share its machine.
            var library = unsafe BLASLibrary()
            // SAFETY: pointers to a local and to a string that lives for the call; the text of a failure is copied at once.
            unsafe failure = blas_load(chosen?.name, &library).map { unsafe String(cString: $0) }
            // SAFETY: constants of the library, which stays loaded; copied here.
            guard failure == nil, let name = unsafe library.core_name, let configuration = unsafe library.configuration else { return }
            unsafe kernelName = String(cString: name)
            version = Self.version(in: unsafe String(cString: configuration))
            reason = unsafe Self.reason(asked: asked, chosen: chosen, got: kernelName, wasLoaded: library.was_loaded)
            if unsafe library.threads != 1 { failure = "it refuses to use one thread only" }
        }

        /// The configuration begins with `OpenBLAS 0.3.21`.
        private static func version(in configuration: String) -> String {
            configuration.split(separator: " ").dropFirst().first.map(String.init) ?? ""
        }

        private static func reason(asked: String?, chosen: KernelChoice?, got: String, wasLoaded: Bool) -> String {
            if wasLoaded { return "the library was in the process before" }
            if let asked {
                return asked.lowercased() == got.lowercased()
                    ? "OPENBLAS_CORETYPE says so" : "the library has no kernels of OPENBLAS_CORETYPE=\(asked) and chose itself"
            }
            guard let chosen else { return "the library's own choice for this CPU" }
            return chosen.name.lowercased() == got.lowercased()
                ? chosen.reason : "the library's own choice, for it has no \(chosen.name) kernels"
        }
    }
}

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
