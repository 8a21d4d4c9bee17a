internal import COneDNN
internal import COpenBLAS
internal import Foundation

/// The library that multiplies matrices, on one thread, with the best kernels that this CPU can run.
///
/// OpenBLAS is the base; oneDNN takes its place where it is installed and the CPU has AVX-512, where it is the faster one: a table by the CPU's features, so that
/// equal machines of a job choose alike. `VERBENA_MATH` chooses otherwise: `openblas`, `onednn`, or `portable`, which holds oneDNN to AVX2: the same bits on
/// every x86 CPU that has it.
///
/// OpenBLAS settles its kernels while it is loaded, by a table of CPU models. Of a model that is newer than the library it knows nothing, and then
/// version 0.3.21 takes SSE3 kernels on an Intel CPU that has AVX-512: a quarter of the speed. So we load the library at run time, on first use, and tell
/// it by its own variable `OPENBLAS_CORETYPE` what to take. A variable of the user's wins, over oneDNN too.
///
/// Kernels differ in the last bits of their results, and so do CPUs that get different ones.
public enum BLAS {
    /// `OpenBLAS` or `oneDNN`.
    public static var library: String { loaded.library.rawValue }
    /// The kernels that run: `Haswell`, `SkylakeX`, ... of OpenBLAS, `AVX512`, `AVX2` of oneDNN; empty where the library is missing.
    public static var kernelName: String { loaded.kernelName }
    /// The library's version, as `0.3.21`; empty where it does not tell.
    public static var version: String { loaded.version }
    /// Why this library and these kernels run, in a clause.
    public static var reason: String { loaded.reason }
    /// Kernels, library and version: what the last bits of a result belong to.
    public static var description: String { "\(kernelName) kernels of \(library) \(version)" }
    /// Why there is no library to compute with; nil where there is.
    public static var failure: String? { loaded.failure }
    /// What mends the failure.
    public static var remedy: String { loaded.remedy }

    /// Loads the library if need be.
    static let isReady = loaded.failure == nil
    static let isOneDNN = loaded.library == .oneDNN

    /// Throws what is wrong with the library, and how to mend it.
    static func check() throws(TrainingError) { if let failure { throw .noBLAS("\(failure); \(remedy)") } }

    /// What loading has come to. Made once, on first use, by whoever is first.
    private static let loaded = LoadedMathLibrary.chosen(
        by: ProcessInfo.processInfo.environment, for: .ofThisMachine, load: { $0.load() })
}

/// A library that multiplies matrices, as it was loaded.
struct LoadedMathLibrary: Equatable {
    enum Library: String {
        case openBLAS = "OpenBLAS"
        case oneDNN
    }

    /// What to load, and how.
    enum Request: Equatable {
        case openBLAS(coreType: String?)
        case oneDNN(isPortable: Bool)
    }

    var library: Library
    var kernelName = ""
    var version = ""
    var reason = ""
    var failure: String?
    var remedy = ""

    /// - Parameters:
    ///   - environment: `VERBENA_MATH` and `OPENBLAS_CORETYPE`; empty ones count as missing.
    ///   - load: called once, or a second time where oneDNN was only preferred, and is not there.
    static func chosen(
        by environment: [String: String], for processor: ProcessorFeatures, load: (Request) -> LoadedMathLibrary
    ) -> LoadedMathLibrary {
        func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let asked = variable("OPENBLAS_CORETYPE")
        switch variable("VERBENA_MATH") {
        case "openblas": return openBLAS(asked, processor, load)
        case "onednn": return oneDNN(isPortable: false, reason: "VERBENA_MATH says so", load)
        case "portable": return oneDNN(isPortable: true, reason: "VERBENA_MATH wants the same bits on every x86 CPU with AVX2", load)
        case nil: break
        case .some(let other):
            return LoadedMathLibrary(
                library: .openBLAS, failure: "VERBENA_MATH=\(other) is none of openblas, onednn, portable",
                remedy: "unset it, or take one of them")
        }
        guard asked == nil, processor.prefersOneDNN else { return openBLAS(asked, processor, load) }
        let preferred = oneDNN(isPortable: false, reason: "the fastest on a CPU with AVX-512", load)
        if preferred.failure == nil { return preferred }
        var base = openBLAS(nil, processor, load)
        base.reason += "; oneDNN would be faster (apt-get install libdnnl2)"
        return base
    }

    private static func oneDNN(isPortable: Bool, reason: String, _ load: (Request) -> LoadedMathLibrary) -> LoadedMathLibrary {
        var library = load(.oneDNN(isPortable: isPortable))
        library.reason = reason
        library.remedy = "install it (apt-get install libdnnl2), or unset VERBENA_MATH"
        if library.failure == nil, isPortable, library.kernelName != "AVX2" { library.failure = "oneDNN has no AVX2 kernels for this CPU" }
        return library
    }

    private static func openBLAS(
        _ asked: String?, _ processor: ProcessorFeatures, _ load: (Request) -> LoadedMathLibrary
    ) -> LoadedMathLibrary {
        let chosen = asked == nil ? processor.kernels : nil
        var library = load(.openBLAS(coreType: chosen?.name))
        if library.reason.isEmpty { library.reason = reason(asked: asked, chosen: chosen, got: library.kernelName) }
        library.remedy = "install it (tools/setup build, or apt-get install libopenblas0)"
        return library
    }

    private static func reason(asked: String?, chosen: KernelChoice?, got: String) -> String {
        if let asked {
            return asked.lowercased() == got.lowercased()
                ? "OPENBLAS_CORETYPE says so" : "the library has no kernels of OPENBLAS_CORETYPE=\(asked) and chose itself"
        }
        guard let chosen else { return "the library's own choice for this CPU" }
        return chosen.name.lowercased() == got.lowercased()
            ? chosen.reason : "the library's own choice, for it has no \(chosen.name) kernels"
    }
}

extension LoadedMathLibrary.Request {
    /// Loads the library, for good.
    func load() -> LoadedMathLibrary {
        switch self {
        case .openBLAS(let coreType): Self.loadOpenBLAS(coreType)
        case .oneDNN(let isPortable): Self.loadOneDNN(isPortable)
        }
    }

    private static func loadOpenBLAS(_ coreType: String?) -> LoadedMathLibrary {
        var result = LoadedMathLibrary(library: .openBLAS)
        // Held to one thread: two and the engine's progress thread on two cores are slower than one (measured), and a rank's speed must
        // not depend on how many ranks share its machine.
        var library = unsafe BLASLibrary()
        // SAFETY: pointers to a local and to a string that lives for the call; the text of a failure is copied at once.
        unsafe result.failure = blas_load(coreType, &library).map { unsafe "OpenBLAS cannot be used: \(String(cString: $0))" }
        // SAFETY: constants of the library, which stays loaded; copied here.
        guard result.failure == nil, let name = unsafe library.core_name, let configuration = unsafe library.configuration else {
            return result
        }
        unsafe result.kernelName = String(cString: name)
        // The configuration begins with `OpenBLAS 0.3.21`.
        result.version = unsafe String(cString: configuration).split(separator: " ").dropFirst().first.map(String.init) ?? ""
        if unsafe library.was_loaded { result.reason = "the library was in the process before" }
        if unsafe library.threads != 1 { result.failure = "OpenBLAS refuses to use one thread only" }
        return result
    }

    private static func loadOneDNN(_ isPortable: Bool) -> LoadedMathLibrary {
        var result = LoadedMathLibrary(library: .oneDNN)
        var library = OneDNNLibrary()
        // SAFETY: a pointer to a local; the text of a failure is copied at once.
        unsafe result.failure = onednn_load(isPortable, &library).map { unsafe "oneDNN cannot be used: \(String(cString: $0))" }
        guard result.failure == nil else { return result }
        result.version = "\(library.major).\(library.minor).\(library.patch)"
        let instructions = library.instructions
        func has(_ set: Int) -> Bool { instructions & UInt32(set) == UInt32(set) }
        result.kernelName = has(ONEDNN_AVX512) ? "AVX512" : has(ONEDNN_AVX2) ? "AVX2" : "SSE"
        return result
    }
}
