// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The names are those of C.

public import CVerbena
internal import Verbena

// SAFETY (whole file): callers keep handles alive during the call, as verbena.h says.

/// One count for each rank.
private func list(_ counts: UnsafePointer<Int64>?, _ group: Communicator) throws(VerbenaError) -> [Int] {
    guard let counts = unsafe counts else { throw .argument("the counts are NULL; give one for each of \(group.worldSize) ranks") }
    return unsafe UnsafeBufferPointer(start: counts, count: group.worldSize).map { Int($0) }
}

@c @implementation
public func verbena_all_gather_v(
    _ handle: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?, _ outputOffset: Int64,
    _ counts: UnsafePointer<Int64>?, _ timeoutSeconds: Double
) -> CInt {
    answer { () throws(VerbenaError) in
        let group = unsafe try communicator(handle)
        let parts = unsafe Parts(input, inputOffset, output, outputOffset)
        try group.allGather(
            unsafe try parts.inputBuffer(), into: unsafe try parts.outputBuffer(), counts: unsafe try list(counts, group),
            timeout: try bound(timeoutSeconds))
        return 0
    }
}

@c @implementation
public func verbena_start_all_gather_v(
    _ handle: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?, _ outputOffset: Int64,
    _ counts: UnsafePointer<Int64>?, _ request: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
    answer { () throws(VerbenaError) in
        let result = unsafe try place(request, "request")
        let group = unsafe try communicator(handle)
        let parts = unsafe Parts(input, inputOffset, output, outputOffset)
        let started = try group.startAllGather(
            unsafe try parts.inputBuffer(), into: unsafe try parts.outputBuffer(), counts: unsafe try list(counts, group))
        unsafe result.pointee = newHandle(of: started)
        return 0
    }
}

@c @implementation
public func verbena_reduce_scatter_v(
    _ handle: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?, _ outputOffset: Int64,
    _ counts: UnsafePointer<Int64>?, _ reduction: verbena_reduction, _ timeoutSeconds: Double
) -> CInt {
    answer { () throws(VerbenaError) in
        let group = unsafe try communicator(handle)
        let parts = unsafe Parts(input, inputOffset, output, outputOffset)
        try group.reduceScatter(
            unsafe try parts.inputBuffer(), into: unsafe try parts.outputBuffer(), counts: unsafe try list(counts, group),
            try reduction.checked(),
            timeout: try bound(timeoutSeconds))
        return 0
    }
}

@c @implementation
public func verbena_start_reduce_scatter_v(
    _ handle: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?, _ outputOffset: Int64,
    _ counts: UnsafePointer<Int64>?, _ reduction: verbena_reduction, _ request: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
    answer { () throws(VerbenaError) in
        let result = unsafe try place(request, "request")
        let group = unsafe try communicator(handle)
        let parts = unsafe Parts(input, inputOffset, output, outputOffset)
        let started = try group.startReduceScatter(
            unsafe try parts.inputBuffer(), into: unsafe try parts.outputBuffer(), counts: unsafe try list(counts, group),
            try reduction.checked())
        unsafe result.pointee = newHandle(of: started)
        return 0
    }
}

@c @implementation
public func verbena_all_to_all_v(
    _ handle: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?, _ outputOffset: Int64,
    _ sendCounts: UnsafePointer<Int64>?, _ receiveCounts: UnsafePointer<Int64>?, _ timeoutSeconds: Double
) -> CInt {
    answer { () throws(VerbenaError) in
        let group = unsafe try communicator(handle)
        let parts = unsafe Parts(input, inputOffset, output, outputOffset)
        guard let output = unsafe try parts.outputBuffer() else { throw .argument("the output is NULL; give another place than the input") }
        try group.allToAll(
            unsafe try parts.inputBuffer(), into: output, sendCounts: unsafe try list(sendCounts, group),
            receiveCounts: unsafe try list(receiveCounts, group),
            timeout: try bound(timeoutSeconds))
        return 0
    }
}

@c @implementation
public func verbena_start_all_to_all_v(
    _ handle: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?, _ outputOffset: Int64,
    _ sendCounts: UnsafePointer<Int64>?, _ receiveCounts: UnsafePointer<Int64>?,
    _ request: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
    answer { () throws(VerbenaError) in
        let result = unsafe try place(request, "request")
        let group = unsafe try communicator(handle)
        let parts = unsafe Parts(input, inputOffset, output, outputOffset)
        guard let output = unsafe try parts.outputBuffer() else { throw .argument("the output is NULL; give another place than the input") }
        let started = try group.startAllToAll(
            unsafe try parts.inputBuffer(), into: output, sendCounts: unsafe try list(sendCounts, group),
            receiveCounts: unsafe try list(receiveCounts, group))
        unsafe result.pointee = newHandle(of: started)
        return 0
    }
}
