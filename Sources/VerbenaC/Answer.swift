internal import CVerbena
internal import Verbena

// SAFETY (whole file): callers keep handles, texts and structures alive during the call, as verbena.h says.

/// What a function of the C face gives: a number, or the code of the error that `body` throws.
@inline(__always)
func answer<Number: FixedWidthInteger>(_ body: () throws(VerbenaError) -> Number) -> Number {
    do throws(VerbenaError) { return try body() } catch { return Number(keep(error)) }
}

/// The same for a pointer: nil where `body` throws.
func pointer<Pointee>(_ body: () throws(VerbenaError) -> Pointee?) -> Pointee? {
    do throws(VerbenaError) { return try body() } catch {
        keep(error)
        return nil
    }
}

/// Keeps an error for `verbena_last_error`.
/// - Returns: its code.
@inline(never)
@discardableResult
private func keep(_ error: VerbenaError) -> CInt {
    keep(error.cause, rank: error.rank, isKnownToAll: error.isKnownToAll, error.message)
}

@discardableResult
func keep(_ cause: FailureCause, rank: Int?, isKnownToAll: Bool, _ message: String) -> CInt {
    let code = cause.code
    unsafe cverbena_keep_error(code, Int32(clamping: max(rank ?? -1, -1)), isKnownToAll ? 1 : 0, message)
    return code
}

extension FailureCause {
    fileprivate var code: CInt {
        let code =
            switch self {
            case .died: VERBENA_DIED
            case .unreachable: VERBENA_UNREACHABLE
            case .stalled: VERBENA_STALLED
            case .disagreed: VERBENA_DISAGREED
            case .aborted: VERBENA_ABORTED
            case .left: VERBENA_LEFT
            case .closed: VERBENA_CLOSED
            case .configuration: VERBENA_CONFIGURATION
            case .resource: VERBENA_RESOURCE
            }
        return code.rawValue
    }
}

extension VerbenaError {
    static func argument(_ message: String) -> VerbenaError { VerbenaError(.configuration, message) }
}

/// A place for a result, which must be there.
@inline(__always)
func place<Value>(_ pointer: UnsafeMutablePointer<Value>?, _ name: String) throws(VerbenaError) -> UnsafeMutablePointer<Value> {
    guard let pointer = unsafe pointer else { throw .argument("the place for the \(name) is NULL; give one") }
    return unsafe pointer
}

/// A text of the caller's; nil for NULL.
func text(_ pointer: UnsafePointer<CChar>?) -> String? { unsafe pointer.map { unsafe String(cString: $0) } }

/// Writes as much of a text as there is room for, and a closing 0.
/// - Returns: its whole length in bytes.
func copy(_ text: String, to place: UnsafeMutablePointer<CChar>?, _ capacity: Int64) throws(VerbenaError) -> Int64 {
    let bytes = Array(text.utf8)
    guard capacity > 0 else { return Int64(bytes.count) }
    guard let place = unsafe place else { throw .argument("the text is NULL, and has room for \(capacity) bytes; give one of them") }
    var length = min(bytes.count, Int(clamping: capacity) - 1)
    // No character is cut in the middle.
    while length > 0, length < bytes.count, bytes[length] & 0xC0 == 0x80 { length -= 1 }
    for index in 0..<length { unsafe place[index] = CChar(bitPattern: bytes[index]) }
    unsafe place[length] = 0
    return Int64(bytes.count)
}

/// Seconds as a bound; nil for negative ones.
@inline(__always)
func bound(_ seconds: Double) throws(VerbenaError) -> Duration? {
    if seconds < 0 { return nil }
    guard !seconds.isNaN else { throw .argument("a timeout that is no number; give seconds, or a negative number for no bound") }
    return .nanoseconds(Int64(min(seconds, 1e9) * 1e9))
}

// MARK: structures with a size

/// Reads a structure of the caller's version into ours: fields that it does not have stay 0.
/// - Throws: where it sets fields that this version does not have.
func read<Structure>(_ pointer: UnsafePointer<Structure>, into zero: Structure, _ name: String) throws(VerbenaError) -> Structure {
    let size = unsafe try checkedSize(pointer, name)
    let known = min(size, MemoryLayout<Structure>.size)
    let given = unsafe UnsafeRawBufferPointer(start: pointer, count: size)
    guard unsafe given[known...].allSatisfy({ $0 == 0 }) else {
        throw .argument(
            "\(name) sets fields that this version (\(Communicator.version)) does not know; leave them 0, or use a newer library")
    }
    var own = zero
    unsafe withUnsafeMutableBytes(of: &own) { unsafe $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: given[..<known])) }
    return own
}

/// Writes those fields that the caller's version has; the size stays.
func write<Structure>(_ own: Structure, to pointer: UnsafeMutablePointer<Structure>, _ name: String) throws(VerbenaError) {
    let size = unsafe try checkedSize(UnsafePointer(pointer), name)
    let first = MemoryLayout<Int>.size
    let target = unsafe UnsafeMutableRawBufferPointer(start: pointer, count: min(size, MemoryLayout<Structure>.size))
    unsafe withUnsafeBytes(of: own) { own in
        unsafe UnsafeMutableRawBufferPointer(rebasing: target[first...])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: own[first..<target.count]))
    }
}

/// The first field.
func checkedSize<Structure>(_ pointer: UnsafePointer<Structure>, _ name: String) throws(VerbenaError) -> Int {
    let size = unsafe UnsafeRawPointer(pointer).load(as: Int.self)
    guard MemoryLayout<Int>.size...4096 ~= size else {
        throw .argument("\(name) gives its size as \(size) bytes; set size to sizeof of the structure, as VERBENA_INIT does")
    }
    return size
}
