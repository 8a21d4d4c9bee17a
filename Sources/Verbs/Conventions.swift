internal import CVerbs
import Glibc

/// Comes before the first call of libibverbs or librdmacm: whoever lists devices or makes a connection manager calls it, and everything else hangs on those.
/// - Throws: `.noLibrary`.
func openLibraries() throws(VerbsError) {
    // SAFETY: a text that stays for good, copied here.
    if let obstacle = unsafe cverbs_open_libraries() {
        let detail = unsafe String(cString: obstacle)
        throw VerbsError(.noLibrary, call: "dlopen", errno: 0, detail: detail, remedy: VerbsError.remedy(for: .noLibrary))
    }
}

// The three ways in which the C libraries say that something failed. Every call goes through the one that its man page names.
// The detail is a closure's value so that nothing is built where nothing failed.

/// For calls that return null and set errno: `ibv_alloc_pd`, `rdma_create_event_channel`.
func notNull<T>(
    _ call: String, _ detail: @autoclosure () -> String, _ body: () -> UnsafeMutablePointer<T>?
) throws(VerbsError) -> UnsafeMutablePointer<T> {
    // SAFETY: only tells null from not null; who owns the object is the caller's matter.
    guard let pointer = unsafe body() else {
        throw VerbsError(call: call, errno: errno, detail: detail())
    }
    return unsafe pointer
}

/// For calls that return 0 or an errno value: `ibv_dealloc_pd`, `ibv_post_send`, `ibv_modify_qp`.
func errnoValue(_ call: String, _ detail: @autoclosure () -> String, _ result: Int32) throws(VerbsError) {
    guard result == 0 else { throw VerbsError(call: call, errno: abs(result), detail: detail()) }
}

/// For calls that return -1 and set errno: all of `rdma_*`, and the C library.
@discardableResult
func minusOne(_ call: String, _ detail: @autoclosure () -> String, _ body: () -> Int32) throws(VerbsError) -> Int32 {
    let result = body()
    guard result >= 0 else { throw VerbsError(call: call, errno: errno, detail: detail()) }
    return result
}

/// For an owner's `deinit`, which cannot throw: says the failure in one line on standard error. `close()` is how to learn of it.
func reportingFailure(_ body: () throws(VerbsError) -> Void) {
    do throws(VerbsError) {
        try body()
    } catch {
        let line = Array("verbena: left behind: \(error)\n".utf8)
        // SAFETY: the array is lent for the call.
        _ = unsafe write(STDERR_FILENO, line, line.count)
    }
}

/// Makes reading from a descriptor of the libraries return at once where there is nothing.
func makeNonBlocking(_ descriptor: Int32) throws(VerbsError) {
    let flags = try minusOne("fcntl", "reading the flags of descriptor \(descriptor)") { fcntl(descriptor, F_GETFL) }
    try minusOne("fcntl", "making descriptor \(descriptor) non-blocking") { fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) }
}
