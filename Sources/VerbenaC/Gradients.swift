// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The names are those of C.

public import CVerbena
internal import Verbena

// SAFETY (whole file): callers keep handles, texts, lists and structures alive during the call, as verbena.h says.

@c @implementation
public func verbena_gradients_create(
    _ handle: OpaquePointer?, _ names: UnsafePointer<UnsafePointer<CChar>?>?, _ counts: UnsafePointer<Int64>?,
    _ types: UnsafePointer<verbena_type>?, _ count: Int64, _ settings: UnsafePointer<verbena_gradient_settings>?,
    _ gradients: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
    answer { () throws(VerbenaError) in
        let result = unsafe try place(gradients, "gradients")
        let group = unsafe try communicator(handle)
        var parameters: [ParameterLayout] = []
        for index in 0..<(try checked(count)) {
            guard let names = unsafe names, let counts = unsafe counts, let name = unsafe text(names[index]) else {
                throw .argument("names, counts, or the name of parameter \(index), are NULL; give a name and a count for each of \(count)")
            }
            let type = unsafe try types.map { (types) throws(VerbenaError) in unsafe try types[index].checked() } ?? .float32
            parameters.append(ParameterLayout(name: name, elementCount: unsafe try checked(counts[index]), type: type))
        }
        let given = unsafe try settings.map { (settings) throws(VerbenaError) in
            unsafe try read(settings, into: verbena_gradient_settings(), "verbena_gradient_settings")
        }
        let exchange = try GradientExchange(group, parameters: parameters, settings: unsafe try given?.checked() ?? GradientSettings())
        unsafe result.pointee = newHandle(of: GradientsHandle(exchange, parameterCount: parameters.count))
        return 0
    }
}

extension verbena_gradient_settings {
    fileprivate func checked() throws(VerbenaError) -> GradientSettings {
        var settings = GradientSettings()
        switch unsafe bucket_bytes {
        case 0: settings.bucketSize = .planned
        case -1: settings.bucketSize = .ddp
        case let bytes where bytes > 0: settings.bucketSize = .fixed(Int(bytes))
        case let bytes: throw .argument("buckets of \(bytes) bytes; give a positive number, 0 for the planner's, -1 for the rule of DDP")
        }
        if let name = unsafe text(schedule) {
            guard let schedule = GradientSettings.Schedule(rawValue: name) else {
                throw .argument(
                    "the schedule is '\(name)'; give one of \(GradientSettings.Schedule.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            settings.schedule = schedule
        }
        if let name = unsafe text(wire) {
            settings.wire = WireFormat.allCases.first { $0.description == name }
            guard settings.wireName == name else {
                throw .argument(
                    "the wire format is '\(name)'; give one of \(WireFormat.allCases.map(\.description).joined(separator: ", ")), auto")
            }
        }
        settings.combination = unsafe is_sum != 0 ? .sum : .average
        settings.allowsUnused = unsafe allows_unused != 0
        return settings
    }
}

@c @implementation
public func verbena_gradients_free(_ handle: OpaquePointer?) -> CInt {
    unsafe free(GradientsHandle.self, handle) { (handle) throws(VerbenaError) in try handle.exchange.release() }
}

@c @implementation
public func verbena_gradient_data(_ handle: OpaquePointer?, _ index: Int64) -> UnsafeMutableRawPointer? {
    unsafe pointer { () throws(VerbenaError) in
        let gradients = unsafe try object(GradientsHandle.self, of: handle)
        guard 0..<gradients.parameterCount ~= Int(index) else {
            throw .argument("there is no parameter \(index); give 0 to \(gradients.parameterCount - 1)")
        }
        try gradients.exchange.checkOpen()
        return unsafe gradients.exchange.gradientBytes(at: Int(index)).baseAddress
    }
}

// MARK: a step

/// Calls the exchange behind a handle, unless its memory has gone: with the job, say.
private func call(_ handle: OpaquePointer?, _ body: (GradientExchange) throws(VerbenaError) -> Void) -> CInt {
    answer { () throws(VerbenaError) in
        let exchange = unsafe try object(GradientsHandle.self, of: handle).exchange
        try exchange.checkOpen()
        try body(exchange)
        return 0
    }
}

@c @implementation
public func verbena_gradient_ready(_ handle: OpaquePointer?, _ index: Int64) -> CInt {
    unsafe call(handle) { (exchange) throws(VerbenaError) in try exchange.gradientReady(Int(index)) }
}

@c @implementation
public func verbena_gradient_unused(_ handle: OpaquePointer?, _ index: Int64) -> CInt {
    unsafe call(handle) { (exchange) throws(VerbenaError) in try exchange.gradientUnused(Int(index)) }
}

@c @implementation
public func verbena_gradients_end_backward(_ handle: OpaquePointer?) -> CInt {
    unsafe call(handle) { (exchange) throws(VerbenaError) in try exchange.endBackward() }
}

@c @implementation
public func verbena_gradients_set_weight(_ handle: OpaquePointer?, _ weight: Double) -> CInt {
    unsafe call(handle) { (exchange) throws(VerbenaError) in try exchange.setWeight(weight) }
}

@c @implementation
public func verbena_gradients_begin_without_synchronization(_ handle: OpaquePointer?) -> CInt {
    unsafe call(handle) { (exchange) throws(VerbenaError) in try exchange.beginWithoutSynchronization() }
}

@c @implementation
public func verbena_gradients_end_without_synchronization(_ handle: OpaquePointer?) -> CInt {
    unsafe call(handle) { (exchange) throws(VerbenaError) in exchange.endWithoutSynchronization() }
}

@c @implementation
public func verbena_gradient_wait(_ handle: OpaquePointer?, _ index: Int64) -> CInt {
    unsafe call(handle) { (exchange) throws(VerbenaError) in try exchange.wait(for: Int(index)) }
}

@c @implementation
public func verbena_gradients_synchronize(_ handle: OpaquePointer?, _ report: UnsafeMutablePointer<verbena_step_report>?) -> CInt {
    unsafe call(handle) { (exchange) throws(VerbenaError) in
        if let report = unsafe report { _ = unsafe try checkedSize(UnsafePointer(report), "verbena_step_report") }
        let step = try exchange.synchronize()
        if let report = unsafe report { unsafe try write(verbena_step_report(step), to: report, "verbena_step_report") }
    }
}

extension verbena_step_report {
    fileprivate init(_ report: StepReport) {
        self.init()
        step = Int64(report.step)
        step_seconds = report.stepSeconds
        compute_seconds = report.computeSeconds
        communication_seconds = report.communicationSeconds
        hidden_seconds = report.hiddenSeconds
        exposed_seconds = report.exposedSeconds
        own_gradient_seconds = report.exposed.ownGradient
        late_peer_seconds = report.exposed.latePeer
        wire_seconds = report.exposed.wire
        reduction_seconds = report.exposed.reduction
        core_seconds = report.exposed.core
        release_seconds = report.exposed.release
        late_rank = report.late.map { Int32($0.rank) } ?? -1
    }
}

@c @implementation
public func verbena_gradient_was_used(_ handle: OpaquePointer?, _ index: Int64) -> CInt {
    answer { () throws(VerbenaError) in
        let exchange = unsafe try object(GradientsHandle.self, of: handle).exchange
        try exchange.checkOpen()
        return try exchange.wasUsed(Int(index)) ? 1 : 0
    }
}

@c @implementation
public func verbena_gradients_explain(_ handle: OpaquePointer?, _ text: UnsafeMutablePointer<CChar>?, _ capacity: Int64) -> Int64 {
    answer { () throws(VerbenaError) in
        unsafe try copy("\(try object(GradientsHandle.self, of: handle).exchange.explain())", to: text, capacity)
    }
}
