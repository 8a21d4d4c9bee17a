// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The names are those of C.

public import CVerbena
internal import FoundationEssentials
import Glibc
internal import Logging
internal import Verbena

// SAFETY (whole file): callers keep handles, texts and structures alive during the call, as verbena.h says.

// SAFETY: never changed, never freed.
nonisolated(unsafe) private let versionText = unsafe strdup(Communicator.version)

@c @implementation
public func verbena_version() -> UnsafePointer<CChar>? { unsafe UnsafePointer(unsafe versionText) }

@c @implementation
public func verbena_join(_ options: UnsafePointer<verbena_join_options>?, _ communicator: UnsafeMutablePointer<OpaquePointer?>?) -> CInt {
    answer { () throws(VerbenaError) in
        let result = unsafe try place(communicator, "communicator")
        let configuration = unsafe try configuration(
            try options.map { (given) throws(VerbenaError) in
                unsafe try read(given, into: verbena_join_options(), "verbena_join_options")
            } ?? verbena_join_options())
        // NIO has SIGPIPE ignored; a program that does something else at it keeps that.
        var pipeSignal = sigaction()
        unsafe cverbena_read_pipe_signal(&pipeSignal)
        defer { unsafe cverbena_restore_pipe_signal(&pipeSignal) }
        var logger = Logger(label: "verbena", factory: { StreamLogHandler.standardError(label: $0) })
        logger.logLevel = .warning
        unsafe result.pointee = unsafe newHandle(of: CommunicatorHandle(try Communicator.join(configuration, logger: logger)))
        return 0
    }
}

private func configuration(_ options: verbena_join_options) throws(VerbenaError) -> Configuration {
    var environment = ProcessInfo.processInfo.environment
    if unsafe options.world_size != 0 { environment = unsafe try explicit(options, environment) }
    var fabric: FabricChoice?
    if let name = unsafe text(options.fabric) { fabric = try choice(name, "fabric") }
    let devices = unsafe text(options.devices)?.split(separator: ",").map(String.init)
    var configuration = try Configuration(fabric: fabric, devices: devices, environment: environment)
    if unsafe options.devices_per_rank != 0 {
        configuration.devicesPerRank = unsafe Int(options.devices_per_rank)
        guard 1...Configuration.maxDevicesPerRank ~= configuration.devicesPerRank else {
            throw .argument("devices_per_rank is \(configuration.devicesPerRank); give 1 to \(Configuration.maxDevicesPerRank)")
        }
    }
    if unsafe options.channels_per_peer != 0 {
        let channels = unsafe Int(options.channels_per_peer)
        guard 1...maxChannelsPerPeer ~= channels else {
            throw .argument("channels_per_peer is \(channels); give 1 to \(maxChannelsPerPeer), or 0 for the default")
        }
        configuration.channelsPerPeer = channels
    }
    if let name = unsafe text(options.progress) { configuration.progress = try choice(name, "progress") }
    unsafe try set(&configuration.joinTimeoutSeconds, options.join_timeout_seconds, "join_timeout_seconds")
    unsafe try set(&configuration.livenessTimeoutSeconds, options.liveness_timeout_seconds, "liveness_timeout_seconds")
    unsafe try set(&configuration.stallTimeoutSeconds, options.stall_timeout_seconds, "stall_timeout_seconds")
    if unsafe options.receive_buffer_bytes != 0 {
        configuration.receiveBufferByteLimit = unsafe Int(options.receive_buffer_bytes)
        guard configuration.receiveBufferByteLimit > 0 else {
            throw .argument("receive_buffer_bytes is \(configuration.receiveBufferByteLimit); give a positive number, or 0 for the default")
        }
    }
    return configuration
}

/// Memory grows with them, and no device has been seen to gain by more than a few.
private let maxChannelsPerPeer = 64

/// The variables of a rank whose caller says who it is: no launcher's, and those of ours that choose the fabric.
private func explicit(_ options: verbena_join_options, _ environment: [String: String]) throws(VerbenaError) -> [String: String] {
    let (rank, size, port) = unsafe (Int(options.rank), Int(options.world_size), Int(options.port))
    guard size > 0, 0..<size ~= rank else {
        throw .argument("rank \(rank) of \(size); give a world_size of 1 or more, and a rank below it")
    }
    guard 0...65535 ~= port else { throw .argument("port \(port); give 1 to 65535, or 0 for 29500") }
    var variables = environment.filter { $0.key.hasPrefix("VERBENA_") && $0.key != "VERBENA_LAUNCHER" }
    variables["RANK"] = "\(rank)"
    variables["WORLD_SIZE"] = "\(size)"
    variables["MASTER_ADDR"] = unsafe text(options.address) ?? "127.0.0.1"
    variables["MASTER_PORT"] = "\(port == 0 ? 29500 : port)"
    let secret = unsafe text(options.secret) ?? variables["VERBENA_SECRET"]
    let parts = [secret, unsafe text(options.job_id).map { "job \($0)" }].compactMap { $0 }
    if !parts.isEmpty { variables["VERBENA_SECRET"] = parts.joined(separator: "\n") }
    return variables
}

private func choice<Choice: RawRepresentable<String> & CaseIterable>(_ name: String, _ option: String) throws(VerbenaError) -> Choice {
    guard let choice = Choice(rawValue: name) else {
        throw .argument("\(option) is '\(name)'; give one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return choice
}

private func set(_ seconds: inout Double, _ given: Double, _ name: String) throws(VerbenaError) {
    guard given >= 0 else { throw .argument("\(name) is \(given); give a positive number, or 0 for the default") }
    if given > 0 { seconds = given }
}

@c @implementation
public func verbena_split(
    _ communicator: OpaquePointer?, _ color: Int64, _ key: Int64, _ child: UnsafeMutablePointer<OpaquePointer?>?
) -> CInt {
    answer { () throws(VerbenaError) in
        let result = unsafe try place(child, "child")
        let parent = unsafe try object(CommunicatorHandle.self, of: communicator).communicator
        let made = try parent.split(color: color < 0 ? nil : Int(color), key: Int(key))
        unsafe result.pointee = unsafe made.map { unsafe newHandle(of: CommunicatorHandle($0)) }
        return 0
    }
}

// MARK: leaving

@c @implementation
public func verbena_close(_ handle: OpaquePointer?) -> CInt {
    answer { () throws(VerbenaError) in
        unsafe try communicator(handle).close()
        return 0
    }
}

@c @implementation
public func verbena_leave(_ handle: OpaquePointer?) -> CInt {
    answer { () throws(VerbenaError) in
        unsafe try communicator(handle).leave()
        return 0
    }
}

@c @implementation
public func verbena_abort(_ handle: OpaquePointer?, _ reason: UnsafePointer<CChar>?) -> CInt {
    answer { () throws(VerbenaError) in
        unsafe try communicator(handle).abort(reason: text(reason) ?? "no reason was given")
        return 0
    }
}

@c @implementation
public func verbena_communicator_free(_ handle: OpaquePointer?) -> CInt { unsafe free(CommunicatorHandle.self, handle) }

// MARK: facts

@c @implementation
public func verbena_status(_ handle: OpaquePointer?) -> CInt {
    answer { () throws(VerbenaError) in
        switch unsafe try communicator(handle).status {
        case .running: return 0
        case .closed: throw VerbenaError(.closed, "the communicator was closed")
        case .failed(let verdict):
            let advice = verdict.remedy.isEmpty ? "" : "; \(verdict.remedy)"
            let message = "\(verdict.culprit): \(verdict.operation): \(verdict.detail)\(advice)"
            return keep(verdict.cause, rank: verdict.rank, isKnownToAll: true, message)
        }
    }
}

@c @implementation
public func verbena_rank(_ handle: OpaquePointer?) -> CInt {
    answer { () throws(VerbenaError) in CInt(unsafe try communicator(handle).rank) }
}

@c @implementation
public func verbena_world_size(_ handle: OpaquePointer?) -> CInt {
    answer { () throws(VerbenaError) in CInt(unsafe try communicator(handle).worldSize) }
}

@c @implementation
public func verbena_local_rank(_ handle: OpaquePointer?) -> CInt {
    answer { () throws(VerbenaError) in CInt(unsafe try communicator(handle).localRank) }
}

@c @implementation
public func verbena_local_world_size(_ handle: OpaquePointer?) -> CInt {
    answer { () throws(VerbenaError) in CInt(unsafe try communicator(handle).localWorldSize) }
}

@c @implementation
public func verbena_fabric_name(_ handle: OpaquePointer?) -> UnsafePointer<CChar>? {
    unsafe pointer { () throws(VerbenaError) in unsafe UnsafePointer(try object(CommunicatorHandle.self, of: handle).fabricName) }
}

@c @implementation
public func verbena_device_name(_ handle: OpaquePointer?) -> UnsafePointer<CChar>? {
    unsafe pointer { () throws(VerbenaError) in unsafe UnsafePointer(try object(CommunicatorHandle.self, of: handle).deviceName) }
}
