// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The names are those of C.

public import CVerbena
internal import Verbena

// SAFETY (whole file): callers keep handles alive during the call, as verbena.h says.

/// The input and the output of an operation, as C names them.
@unsafe
struct Parts {
    let input: OpaquePointer?
    let inputOffset: Int64
    let output: OpaquePointer?
    let outputOffset: Int64

    @inline(__always)
    init(_ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer? = nil, _ outputOffset: Int64 = 0) {
        unsafe self.input = input
        unsafe self.inputOffset = inputOffset
        unsafe self.output = output
        unsafe self.outputOffset = outputOffset
    }

    @inline(__always)
    func inputBuffer() throws(VerbenaError) -> RawBuffer { unsafe try part(input, inputOffset) }

    @inline(__always)
    func outputBuffer() throws(VerbenaError) -> RawBuffer? { unsafe output == nil ? nil : try part(output, outputOffset) }

    @inline(__always)
    private func part(_ handle: OpaquePointer?, _ offset: Int64) throws(VerbenaError) -> RawBuffer {
        let buffer = unsafe try object(BufferHandle.self, of: handle).buffer
        if offset == 0 { return buffer }
        guard 0...Int64(buffer.count) ~= offset else {
            throw .argument("a part from element \(offset) on, of a buffer of \(buffer.count); give 0 to \(buffer.count)")
        }
        return buffer[Int(offset)...]
    }
}

extension verbena_reduction {
    @inline(__always)
    func checked() throws(VerbenaError) -> ReductionOperation {
        guard let reduction = UInt8(exactly: rawValue).flatMap(ReductionOperation.init(rawValue:)) else {
            throw .argument("there is no reduction \(rawValue); give one of enum verbena_reduction")
        }
        return reduction
    }
}

@inline(__always)
private func perform(
    _ collective: Collective, _ handle: OpaquePointer?, _ parts: Parts, _ count: Int64, _ reduction: verbena_reduction,
    _ timeoutSeconds: Double
) -> CInt {
    answer { () throws(VerbenaError) in
        try unsafe communicator(handle).perform(
            collective, unsafe try parts.inputBuffer(), into: unsafe try parts.outputBuffer(), count: try checked(count),
            try reduction.checked(), timeout: try bound(timeoutSeconds))
        return 0
    }
}

private func start(
    _ collective: Collective, _ handle: OpaquePointer?, _ parts: Parts, _ count: Int64, _ reduction: verbena_reduction,
    _ request: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
    answer { () throws(VerbenaError) in
        let result = unsafe try place(request, "request")
        let started = try unsafe communicator(handle).start(
            collective, unsafe try parts.inputBuffer(), into: unsafe try parts.outputBuffer(), count: try checked(count),
            try reduction.checked())
        unsafe result.pointee = newHandle(of: started)
        return 0
    }
}

@c @implementation
public func verbena_all_reduce(
    _ communicator: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?,
    _ outputOffset: Int64, _ count: Int64, _ reduction: verbena_reduction, _ timeoutSeconds: Double
) -> CInt {
    unsafe perform(.allReduce, communicator, Parts(input, inputOffset, output, outputOffset), count, reduction, timeoutSeconds)
}

@c @implementation
public func verbena_start_all_reduce(
    _ communicator: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?,
    _ outputOffset: Int64, _ count: Int64, _ reduction: verbena_reduction, _ request: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
    unsafe start(.allReduce, communicator, Parts(input, inputOffset, output, outputOffset), count, reduction, request)
}

@c @implementation
public func verbena_reduce_scatter(
    _ communicator: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?,
    _ outputOffset: Int64, _ count: Int64, _ reduction: verbena_reduction, _ timeoutSeconds: Double
) -> CInt {
    unsafe perform(.reduceScatter, communicator, Parts(input, inputOffset, output, outputOffset), count, reduction, timeoutSeconds)
}

@c @implementation
public func verbena_start_reduce_scatter(
    _ communicator: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?,
    _ outputOffset: Int64, _ count: Int64, _ reduction: verbena_reduction, _ request: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
    unsafe start(.reduceScatter, communicator, Parts(input, inputOffset, output, outputOffset), count, reduction, request)
}

@c @implementation
public func verbena_all_gather(
    _ communicator: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?,
    _ outputOffset: Int64, _ count: Int64, _ timeoutSeconds: Double
) -> CInt {
    unsafe perform(.allGather, communicator, Parts(input, inputOffset, output, outputOffset), count, VERBENA_SUM, timeoutSeconds)
}

@c @implementation
public func verbena_start_all_gather(
    _ communicator: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?,
    _ outputOffset: Int64, _ count: Int64, _ request: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
    unsafe start(.allGather, communicator, Parts(input, inputOffset, output, outputOffset), count, VERBENA_SUM, request)
}

@c @implementation
public func verbena_all_to_all(
    _ communicator: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?,
    _ outputOffset: Int64, _ count: Int64, _ timeoutSeconds: Double
) -> CInt {
    unsafe perform(.allToAll, communicator, Parts(input, inputOffset, output, outputOffset), count, VERBENA_SUM, timeoutSeconds)
}

@c @implementation
public func verbena_start_all_to_all(
    _ communicator: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?,
    _ outputOffset: Int64, _ count: Int64, _ request: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
    unsafe start(.allToAll, communicator, Parts(input, inputOffset, output, outputOffset), count, VERBENA_SUM, request)
}

@c @implementation
public func verbena_broadcast(
    _ communicator: OpaquePointer?, _ buffer: OpaquePointer?, _ offset: Int64, _ count: Int64, _ root: CInt,
    _ timeoutSeconds: Double
) -> CInt {
    unsafe perform(.broadcast(root: Int(root)), communicator, Parts(buffer, offset), count, VERBENA_SUM, timeoutSeconds)
}

@c @implementation
public func verbena_start_broadcast(
    _ communicator: OpaquePointer?, _ buffer: OpaquePointer?, _ offset: Int64, _ count: Int64, _ root: CInt,
    _ request: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
    unsafe start(.broadcast(root: Int(root)), communicator, Parts(buffer, offset), count, VERBENA_SUM, request)
}

@c @implementation
public func verbena_reduce(
    _ communicator: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?,
    _ outputOffset: Int64, _ count: Int64, _ reduction: verbena_reduction, _ root: CInt, _ timeoutSeconds: Double
) -> CInt {
    unsafe perform(
        .reduce(root: Int(root)), communicator, Parts(input, inputOffset, output, outputOffset), count, reduction, timeoutSeconds)
}

@c @implementation
public func verbena_start_reduce(
    _ communicator: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?,
    _ outputOffset: Int64, _ count: Int64, _ reduction: verbena_reduction, _ root: CInt,
    _ request: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
    unsafe start(.reduce(root: Int(root)), communicator, Parts(input, inputOffset, output, outputOffset), count, reduction, request)
}

@c @implementation
public func verbena_gather(
    _ communicator: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?,
    _ outputOffset: Int64, _ count: Int64, _ root: CInt, _ timeoutSeconds: Double
) -> CInt {
    unsafe perform(
        .gather(root: Int(root)), communicator, Parts(input, inputOffset, output, outputOffset), count, VERBENA_SUM, timeoutSeconds)
}

@c @implementation
public func verbena_start_gather(
    _ communicator: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?,
    _ outputOffset: Int64, _ count: Int64, _ root: CInt, _ request: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
    unsafe start(.gather(root: Int(root)), communicator, Parts(input, inputOffset, output, outputOffset), count, VERBENA_SUM, request)
}

@c @implementation
public func verbena_scatter(
    _ communicator: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?,
    _ outputOffset: Int64, _ count: Int64, _ root: CInt, _ timeoutSeconds: Double
) -> CInt {
    unsafe perform(
        .scatter(root: Int(root)), communicator, Parts(input, inputOffset, output, outputOffset), count, VERBENA_SUM, timeoutSeconds)
}

@c @implementation
public func verbena_start_scatter(
    _ communicator: OpaquePointer?, _ input: OpaquePointer?, _ inputOffset: Int64, _ output: OpaquePointer?,
    _ outputOffset: Int64, _ count: Int64, _ root: CInt, _ request: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
    unsafe start(.scatter(root: Int(root)), communicator, Parts(input, inputOffset, output, outputOffset), count, VERBENA_SUM, request)
}

@c @implementation
public func verbena_barrier(_ handle: OpaquePointer?, _ timeoutSeconds: Double) -> CInt {
    answer { () throws(VerbenaError) in
        try unsafe communicator(handle).barrier(timeout: try bound(timeoutSeconds))
        return 0
    }
}

@c @implementation
public func verbena_start_barrier(_ handle: OpaquePointer?, _ request: UnsafeMutablePointer<OpaquePointer?>?) -> CInt {
    answer { () throws(VerbenaError) in
        let result = unsafe try place(request, "request")
        unsafe result.pointee = newHandle(of: try communicator(handle).startBarrier())
        return 0
    }
}

// MARK: transfers

@c @implementation
public func verbena_send(
    _ communicator: OpaquePointer?, _ buffer: OpaquePointer?, _ offset: Int64, _ count: Int64, _ rank: CInt,
    _ timeoutSeconds: Double
) -> CInt {
    unsafe perform(.send(to: Int(rank)), communicator, Parts(buffer, offset), count, VERBENA_SUM, timeoutSeconds)
}

@c @implementation
public func verbena_start_send(
    _ communicator: OpaquePointer?, _ buffer: OpaquePointer?, _ offset: Int64, _ count: Int64, _ rank: CInt,
    _ request: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
    unsafe start(.send(to: Int(rank)), communicator, Parts(buffer, offset), count, VERBENA_SUM, request)
}

@c @implementation
public func verbena_receive(
    _ communicator: OpaquePointer?, _ buffer: OpaquePointer?, _ offset: Int64, _ count: Int64, _ rank: CInt,
    _ timeoutSeconds: Double
) -> CInt {
    unsafe perform(.receive(from: Int(rank)), communicator, Parts(buffer, offset), count, VERBENA_SUM, timeoutSeconds)
}

@c @implementation
public func verbena_start_receive(
    _ communicator: OpaquePointer?, _ buffer: OpaquePointer?, _ offset: Int64, _ count: Int64, _ rank: CInt,
    _ request: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
    unsafe start(.receive(from: Int(rank)), communicator, Parts(buffer, offset), count, VERBENA_SUM, request)
}

// MARK: choices

@c @implementation
public func verbena_explain(
    _ handle: OpaquePointer?, _ collective: verbena_collective, _ byteCount: Int64, _ type: verbena_type,
    _ text: UnsafeMutablePointer<CChar>?, _ capacity: Int64
) -> Int64 {
    answer { () throws(VerbenaError) in
        let group = unsafe try communicator(handle)
        let explanation = group.explain(try collective.checked(), byteCount: try checked(byteCount), type: try type.checked())
        return unsafe try copy("\(explanation)", to: text, capacity)
    }
}

extension verbena_collective {
    fileprivate func checked() throws(VerbenaError) -> Collective {
        switch self {
        case VERBENA_ALL_REDUCE: .allReduce
        case VERBENA_REDUCE_SCATTER: .reduceScatter
        case VERBENA_ALL_GATHER: .allGather
        case VERBENA_ALL_TO_ALL: .allToAll
        case VERBENA_BROADCAST: .broadcast(root: 0)
        case VERBENA_REDUCE: .reduce(root: 0)
        case VERBENA_GATHER: .gather(root: 0)
        case VERBENA_SCATTER: .scatter(root: 0)
        case VERBENA_BARRIER: .barrier
        default: throw .argument("there is no collective \(rawValue); give one of enum verbena_collective")
        }
    }
}
