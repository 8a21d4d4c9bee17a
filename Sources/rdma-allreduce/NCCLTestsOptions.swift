import ArgumentParser

/// The options of nccl-tests that have one value here. A command line that gives this value runs as it is; another value is refused with the
/// reason.
struct NCCLTestsOptions: ParsableArguments {
    @Option(
        name: [.customShort("g", allowingJoined: true), .customLong("ngpus")], parsing: .unconditional, help: "1: a rank is a process.")
    var ranksPerThread = 1

    @Option(
        name: [.customShort("t", allowingJoined: true), .customLong("nthreads")], parsing: .unconditional, help: "1: a rank is a process.")
    var threads = 1

    @Option(
        name: [.customShort("p", allowingJoined: true), .customLong("parallel_init")], parsing: .unconditional,
        help: "0 or 1: ranks join at the same time.")
    var parallelJoining = 0

    @Option(
        name: [.customShort("z", allowingJoined: true), .customLong("blocking")], parsing: .unconditional,
        help: "0: calls follow each other without a barrier.")
    var blocking = 0

    @Option(
        name: [.customShort("y", allowingJoined: true), .customLong("stream_null")], parsing: .unconditional,
        help: "0: there are no streams.")
    var nullStream = 0

    @Option(
        name: [.customShort("G", allowingJoined: true), .customLong("cudagraph")], parsing: .unconditional, help: "0: there are no graphs.")
    var graphLaunches = 0

    @Option(
        name: [.customShort("C", allowingJoined: true), .customLong("report_cputime")], parsing: .unconditional,
        help: "0: a time is that of the whole call.")
    var processorTime = 0

    @Option(
        name: [.customShort("R", allowingJoined: true), .customLong("local_register")], parsing: .unconditional,
        help: "0 or 1: buffers are always registered.")
    var registration = 0

    @Option(
        name: [.customShort("u", allowingJoined: true), .customLong("unalign")], parsing: .unconditional,
        help: "0: buffers begin on a page.")
    var misalignment = 0

    @Option(
        name: [.customShort("D", allowingJoined: true), .customLong("device_implementation")], parsing: .unconditional,
        help: "0: there are no device kernels.")
    var deviceImplementation = 0

    mutating func validate() throws {
        try expect("-g", ranksPerThread, 1...1, "a rank is a process here", "give -g 1, and --ranks or a launcher for more ranks")
        try expect("-t", threads, 1...1, "a rank is a process here", "give -t 1, and --ranks or a launcher for more ranks")
        try expect("-p", parallelJoining, 0...1, "ranks join at the same time", "give -p 0 or 1")
        try expect("-z", blocking, 0...0, "calls follow each other without a barrier here", "give -z 0")
        try expect("-y", nullStream, 0...0, "there are no streams here", "give -y 0")
        try expect("-G", graphLaunches, 0...0, "there are no graphs here", "give -G 0")
        try expect("-C", processorTime, 0...0, "a time is that of the whole call here", "give -C 0")
        try expect("-R", registration, 0...1, "buffers are always registered here, and not symmetric", "give -R 0 or 1")
        try expect("-u", misalignment, 0...0, "buffers begin on a page here", "give -u 0")
        try expect("-D", deviceImplementation, 0...0, "there are no device kernels here", "give -D 0")
    }

    private func expect(_ name: String, _ value: Int, _ taken: ClosedRange<Int>, _ reason: String, _ remedy: String) throws {
        if !(taken ~= value) { throw ValidationError("\(name) \(value): \(reason); \(remedy)") }
    }
}

/// How nccl-tests switch something on: 1, and off: 0.
enum ZeroOrOne: Int, ExpressibleByArgument, CaseIterable, CustomStringConvertible, Sendable {
    case zero = 0
    case one = 1

    var description: String { "\(rawValue)" }
}
