internal import CVerbena
import Glibc
internal import Verbena

// SAFETY (whole file): a handle holds a reference of its object from `newHandle` to `free`; callers keep it alive during the call, as verbena.h says.

/// What stands behind each kind of handle.
protocol Handled: AnyObject {
    static var name: String { get }
}

/// A communicator, and its texts as C has them.
@safe
final class CommunicatorHandle: Handled {
    static let name = "communicator"
    let communicator: Communicator
    let fabricName: UnsafeMutablePointer<CChar>
    let deviceName: UnsafeMutablePointer<CChar>

    init(_ communicator: Communicator) {
        self.communicator = communicator
        unsafe fabricName = strdup(communicator.fabricName)
        unsafe deviceName = strdup(communicator.deviceName)
    }

    deinit {
        unsafe Glibc.free(fabricName)
        unsafe Glibc.free(deviceName)
    }
}

/// A buffer. A view frees no memory.
final class BufferHandle: Handled {
    static let name = "buffer"
    let buffer: RawBuffer
    let isView: Bool

    init(_ buffer: RawBuffer, isView: Bool = false) {
        self.buffer = buffer
        self.isView = isView
    }
}

/// Gradients, and the number of their parameters.
final class GradientsHandle: Handled {
    static let name = "gradients"
    let exchange: GradientExchange
    let parameterCount: Int

    init(_ exchange: GradientExchange, parameterCount: Int) {
        self.exchange = exchange
        self.parameterCount = parameterCount
    }
}

extension Request: Handled {
    static var name: String { "request" }
}

/// A handle, which keeps the object until it is freed.
func newHandle(of object: some Handled) -> OpaquePointer { unsafe OpaquePointer(Unmanaged.passRetained(object).toOpaque()) }

@inline(__always)
func object<Object: Handled>(_: Object.Type, of handle: OpaquePointer?) throws(VerbenaError) -> Object {
    guard let handle = unsafe handle else { throw .argument("the \(Object.name) is NULL; give a handle") }
    return unsafe Unmanaged<Object>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
}

@inline(__always)
func communicator(_ handle: OpaquePointer?) throws(VerbenaError) -> Communicator {
    unsafe try object(CommunicatorHandle.self, of: handle).communicator
}

/// Frees a handle, and its object as far as nobody else holds it. Does nothing for NULL.
/// - Parameter end: what has to be done before; where it throws, the handle stays.
func free<Object: Handled>(
    _: Object.Type, _ handle: OpaquePointer?, after end: (Object) throws(VerbenaError) -> Void = { _ throws(VerbenaError) in }
) -> CInt {
    guard let handle = unsafe handle else { return 0 }
    return answer { () throws(VerbenaError) in
        let reference = unsafe Unmanaged<Object>.fromOpaque(UnsafeRawPointer(handle))
        do throws(VerbenaError) { try end(unsafe reference.takeUnretainedValue()) } catch {
            // What has ended already is no reason to keep a handle of it.
            if error.cause != .closed { throw error }
        }
        unsafe reference.release()
        return 0
    }
}
