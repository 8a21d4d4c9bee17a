// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The names are those of C.

public import CVerbena
internal import Verbena

// SAFETY (whole file): callers keep handles and structures alive during the call, as verbena.h says.

@c @implementation
public func verbena_test(_ handle: OpaquePointer?) -> CInt {
    answer { () throws(VerbenaError) in unsafe try object(Request.self, of: handle).isDone ? 1 : 0 }
}

@c @implementation
public func verbena_wait(_ handle: OpaquePointer?, _ timeoutSeconds: Double, _ hasEnded: UnsafeMutablePointer<CInt>?) -> CInt {
    answer { () throws(VerbenaError) in
        let request = unsafe try object(Request.self, of: handle)
        guard let timeout = try bound(timeoutSeconds) else {
            try request.wait()
            unsafe hasEnded?.pointee = 1
            return 0
        }
        let place = unsafe try place(hasEnded, "answer whether the operation has ended")
        unsafe place.pointee = try request.wait(timeout: timeout) ? 1 : 0
        return 0
    }
}

@c @implementation
public func verbena_wait_any(
    _ handles: UnsafePointer<OpaquePointer?>?, _ count: Int64, _ timeoutSeconds: Double, _ index: UnsafeMutablePointer<Int64>?
) -> CInt {
    answer { () throws(VerbenaError) in
        let result = unsafe try place(index, "index")
        let handles = unsafe UnsafeBufferPointer(start: handles, count: unsafe handles == nil ? 0 : try checked(count))
        guard count == handles.count else { throw .argument("the list of \(count) requests is NULL; give one, or a count of 0") }
        var requests: [Request] = []
        for index in 0..<handles.count { requests.append(unsafe try object(Request.self, of: handles[index])) }
        unsafe result.pointee = Request.any(of: requests, timeout: try bound(timeoutSeconds)).map { Int64($0) } ?? -1
        return 0
    }
}

@c @implementation
public func verbena_request_record(_ handle: OpaquePointer?, _ record: UnsafeMutablePointer<verbena_record>?) -> CInt {
    answer { () throws(VerbenaError) in
        let request = unsafe try object(Request.self, of: handle)
        guard let times = request.record else {
            throw .argument("the operation was not waited for, or has failed, and has no record; ask after a wait that succeeded")
        }
        let own = verbena_record(
            size: 0, submitted: times.submitted, started: times.started, first_arrival: times.firstArrival,
            last_arrival: times.lastArrival, ended: times.ended, work_nanoseconds: times.workNanoseconds)
        unsafe try write(own, to: try place(record, "record"), "verbena_record")
        return 0
    }
}

@c @implementation
public func verbena_request_free(_ handle: OpaquePointer?) -> CInt {
    // The last reference waits by itself; the wait here is for others that wait, too.
    unsafe free(Request.self, handle) { (request) throws(VerbenaError) in try? request.wait() }
}
