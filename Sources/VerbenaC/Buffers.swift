// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The names are those of C.

public import CVerbena
internal import Verbena

// SAFETY (whole file): callers keep handles alive during the call, and memory of their own until the buffer was released, as verbena.h says.

extension verbena_type {
    func checked() throws(VerbenaError) -> ElementType {
        guard let type = UInt8(exactly: rawValue).flatMap(ElementType.init(rawValue:)) else {
            throw .argument("there is no element type \(rawValue); give one of enum verbena_type")
        }
        return type
    }
}

/// As a count of elements that an operation takes; the face itself looks at the rest.
func checked(_ count: Int64) throws(VerbenaError) -> Int {
    guard 0...(1 << 48) ~= count else { throw .argument("\(count) elements; give 0 or more, and fewer than 2^48") }
    return Int(count)
}

@c @implementation
public func verbena_allocate(
    _ handle: OpaquePointer?, _ type: verbena_type, _ count: Int64, _ buffer: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
    answer { () throws(VerbenaError) in
        let result = unsafe try place(buffer, "buffer")
        let made = unsafe try communicator(handle).allocate(try type.checked(), count: try checked(count))
        unsafe result.pointee = newHandle(of: BufferHandle(made))
        return 0
    }
}

@c @implementation
public func verbena_register(
    _ handle: OpaquePointer?, _ memory: UnsafeMutableRawPointer?, _ type: verbena_type, _ count: Int64,
    _ buffer: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
    answer { () throws(VerbenaError) in
        let result = unsafe try place(buffer, "buffer")
        let group = unsafe try communicator(handle)
        let (type, count) = (try type.checked(), try checked(count))
        guard unsafe memory != nil || count == 0 else { throw .argument("the memory of \(count) elements is NULL; give an address") }
        guard UInt(bitPattern: memory) % UInt(type.byteCount) == 0 else {
            throw .argument("the memory is not aligned for \(type); give an address that is a multiple of \(type.byteCount)")
        }
        unsafe result.pointee = newHandle(of: BufferHandle(try group.register(memory, type, count: count)))
        return 0
    }
}

@c @implementation
public func verbena_own_memory(_ handle: OpaquePointer?, _ type: verbena_type, _ buffer: UnsafeMutablePointer<OpaquePointer?>?) -> CInt {
    answer { () throws(VerbenaError) in
        let result = unsafe try place(buffer, "buffer")
        let whole = unsafe try communicator(handle).ownMemory(try type.checked())
        unsafe result.pointee = newHandle(of: BufferHandle(whole, isView: true))
        return 0
    }
}

@c @implementation
public func verbena_buffer_view(_ handle: OpaquePointer?, _ type: verbena_type, _ view: UnsafeMutablePointer<OpaquePointer?>?) -> CInt {
    answer { () throws(VerbenaError) in
        let result = unsafe try place(view, "view")
        let buffer = unsafe try object(BufferHandle.self, of: handle).buffer
        unsafe result.pointee = newHandle(of: BufferHandle(buffer.viewed(as: try type.checked()), isView: true))
        return 0
    }
}

@c @implementation
public func verbena_attach(_ handle: OpaquePointer?, _ buffer: OpaquePointer?) -> CInt {
    answer { () throws(VerbenaError) in
        let group = unsafe try communicator(handle)
        unsafe try group.attach(try object(BufferHandle.self, of: buffer).buffer)
        return 0
    }
}

@c @implementation
public func verbena_buffer_release(_ handle: OpaquePointer?) -> CInt {
    answer { () throws(VerbenaError) in
        unsafe try object(BufferHandle.self, of: handle).buffer.release()
        return 0
    }
}

@c @implementation
public func verbena_buffer_free(_ handle: OpaquePointer?) -> CInt {
    unsafe free(BufferHandle.self, handle) { (handle) throws(VerbenaError) in if !handle.isView { try handle.buffer.release() } }
}

@c @implementation
public func verbena_buffer_data(_ handle: OpaquePointer?) -> UnsafeMutableRawPointer? {
    unsafe pointer { () throws(VerbenaError) in
        let buffer = unsafe try object(BufferHandle.self, of: handle).buffer
        try buffer.checkOpen()
        return unsafe buffer.bytes.baseAddress
    }
}

@c @implementation
public func verbena_buffer_count(_ handle: OpaquePointer?) -> Int64 {
    answer { () throws(VerbenaError) in Int64(unsafe try object(BufferHandle.self, of: handle).buffer.count) }
}

@c @implementation
public func verbena_buffer_type(_ handle: OpaquePointer?) -> CInt {
    answer { () throws(VerbenaError) in CInt(unsafe try object(BufferHandle.self, of: handle).buffer.type.rawValue) }
}
