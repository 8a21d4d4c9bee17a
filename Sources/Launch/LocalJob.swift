internal import CPlatform
public import Engine
public import Foundation
public import Logging
internal import Membership
internal import Platform
public import Verbena

/// Starts the ranks of a job on this machine: copies of the running program, each told by the usual variables who it is.
///
/// The launcher hosts the rendezvous, so ranks agree on a verdict whoever dies. Ranks end with the launcher, however it ends.
public enum LocalJob {
    /// Set for the ranks: the launcher's process number.
    static let launcherVariable = JobEnvironment.localLauncherVariable
    /// Ranks of one machine, at most; more is surely a mistake.
    public static let maxRanks = 1024
    /// How long ranks may go on after one has failed, before they are ended.
    static let graceSeconds: Double = 10
    /// After how long it is said that ranks are waited for.
    private static let noticeSeconds: Double = 30

    /// Whether this process is a rank that a launcher started.
    public static var isRank: Bool { ProcessInfo.processInfo.environment[launcherVariable] != nil }

    /// What another launcher's variables say, if they make this process a rank among several; nil otherwise.
    public static func foreignLauncher(in variables: [String: String] = ProcessInfo.processInfo.environment) -> String? {
        do throws(RendezvousError) {
            let job = try JobEnvironment(variables: variables)
            return job.worldSize > 1 ? "this process is rank \(job.rank) of \(job.worldSize) already (\(job.source.rawValue))" : nil
        } catch {
            return "this process seems to be a rank already (\(error.detail))"
        }
    }

    /// To be called first in a program that may be a rank: binds its life to the launcher's. Does nothing elsewhere.
    ///
    /// A program that a rank starts inherits the rank's variables without being it: it ends with status 1 and a line that says so.
    public static func bindToLauncher() {
        guard let text = ProcessInfo.processInfo.environment[launcherVariable], let parent = Int32(text) else { return }
        guard platform_die_with_parent(parent) != 0 else { return }
        report(
            "\(launcherVariable) makes this process a rank of process \(parent), which has ended or did not start it; "
                + "start it without that variable (env -u \(launcherVariable))")
        exit(1)
    }

    /// Runs `ranks` copies of this program with the same arguments and waits for all of them.
    ///
    /// Call it on the main thread: the ranks are bound to the thread that starts them. Other children of this process, and a handler that it has for
    /// SIGCHLD, are left alone; where it ignores SIGCHLD, it does so again afterwards.
    /// - Parameters:
    ///   - nodes: how many machines the ranks are to act as if they were on; see `Configuration.node`.
    ///   - joinTimeoutSeconds: as in `Configuration`; these two count for all ranks, whatever their own say.
    /// - Returns: the exit status for the launcher: 0 if every rank's was, else the first other one that a rank gave; 1 for a rank
    ///   that a signal ended.
    public static func run(
        ranks: Int, nodes: Int = 1, joinTimeoutSeconds: Double = Configuration.defaultJoinTimeoutSeconds,
        livenessTimeoutSeconds: Double = Configuration.defaultLivenessTimeoutSeconds, logger: Logger = Logger(label: "verbena")
    ) throws(VerbenaError) -> Int32 {
        guard 1...maxRanks ~= ranks else {
            throw VerbenaError(.configuration, "--ranks \(ranks): give a number from 1 to \(maxRanks)")
        }
        // A connection to each rank, and a descriptor of its process.
        if let shortage = OpenFiles.shortage(forRanks: ranks, filesPerRank: 2) { throw VerbenaError(.configuration, shortage) }
        let childSignal = ChildSignal.keepingEnds()
        defer { childSignal.restore() }
        let secret = JobSecret.random()
        var bounds = RendezvousBounds(joinTimeoutSeconds: joinTimeoutSeconds, livenessTimeoutSeconds: livenessTimeoutSeconds)
        // A rank that cannot start ends, which is said at once; before that it is only slow.
        bounds.noticeSeconds = Self.noticeSeconds
        let coordinator = try wrapping { [bounds] () throws(RendezvousError) in
            try Coordinator.start(
                host: "127.0.0.1", port: 0, worldSize: ranks, secret: secret, version: Communicator.version, hostedBy: .launcher,
                bounds: bounds, logger: logger)
        }
        defer { coordinator.stop() }
        var children = ChildProcesses()
        for rank in 0..<ranks {
            let job = JobEnvironment(
                rank: rank, worldSize: ranks, localRank: rank, localWorldSize: ranks, masterAddress: "127.0.0.1",
                masterPort: coordinator.port, secret: secret, source: .torchrun)
            do throws(VerbenaError) {
                // Consecutive ranks share a machine, as launchers place them.
                let machine = nodes > 1 ? ["VERBENA_NODE": "\(rank * nodes / ranks)"] : [:]
                children.add(try spawn(job.variables.merging(machine) { $1 }), rank: rank)
            } catch {
                children.kill()
                throw error
            }
        }
        return wait(for: &children) { coordinator.processEnded(rank: $0, cause: $1) }
    }

    /// This program's file, so that ranks have its name; the link itself where the file was replaced meanwhile.
    private static var program: String {
        let link = "/proc/self/exe"
        let path = (try? FileManager.default.destinationOfSymbolicLink(atPath: link)) ?? link
        return FileManager.default.isExecutableFile(atPath: path) ? path : link
    }

    private static func spawn(_ variables: [String: String]) throws(VerbenaError) -> pid_t {
        var environment = ProcessInfo.processInfo.environment.merging(variables) { $1 }
        environment[launcherVariable] = "\(getpid())"
        // SAFETY: the C strings live until they are freed below, after the call that reads them.
        var arguments = unsafe CommandLine.arguments.map { unsafe strdup($0) } + [nil]
        var pairs = unsafe environment.map { unsafe strdup("\($0.key)=\($0.value)") } + [nil]
        defer {
            for index in unsafe arguments.indices { unsafe free(arguments[index]) }
            for index in unsafe pairs.indices { unsafe free(pairs[index]) }
        }
        var child: pid_t = 0
        let failure = unsafe platform_spawn(&child, program, &arguments, &pairs)
        guard failure == 0 else {
            throw VerbenaError(
                .configuration, "cannot start a rank (errno \(failure)); check the limits on processes and memory (ulimit -u)")
        }
        return child
    }

    /// Reaps every rank. After the first failure the others get `graceSeconds` to end by themselves.
    /// - Parameter ended: hears how each ended, in words.
    static func wait(for children: inout ChildProcesses, ended: (_ rank: Int, _ cause: String) -> Void) -> Int32 {
        var result: Int32 = 0
        var deadline: UInt64?
        while !children.isEmpty {
            let now = platform_now()
            if let limit = deadline, now >= limit {
                report("these ranks did not end by themselves and are killed: \(children.ranks.map(String.init).joined(separator: ", "))")
                children.kill()
                break
            }
            guard let (rank, status) = children.next(withinMilliseconds: deadline.map { Int(($0 - now) / 1_000_000) + 1 }) else { continue }
            let (code, ending) = status.map(ending) ?? (1, "ended, and another part of this program took its exit status")
            // Nothing follows for a rank that had taken leave.
            ended(rank, "its process \(ending)")
            // Such an end leaves no word of its own; a rank that gave a status has said why.
            if status.map({ $0 & 0x7f != 0 }) ?? true { report("rank \(rank) \(ending)") }
            if result == 0 { result = code }
            if code != 0, deadline == nil { deadline = platform_now() + UInt64(graceSeconds * 1e9) }
        }
        return result
    }

    /// The exit status that a wait status amounts to, and how the process ended in words.
    private static func ending(of status: Int32) -> (code: Int32, words: String) {
        let signal = status & 0x7f
        let code = status >> 8 & 0xff
        guard signal != 0 else { return (code, "ended with status \(code)") }
        // SAFETY: the C library's own text, copied at once.
        return (1, "was ended by signal \(signal) (\(unsafe String(cString: strsignal(signal))))")
    }

    /// One line on stderr, under the program's name as its ranks' lines are. Nobody to read it is no reason to stop waiting for ranks.
    private static func report(_ line: String) {
        let name = URL(fileURLWithPath: CommandLine.arguments.first ?? "verbena").lastPathComponent
        try? FileHandle.standardError.write(contentsOf: Data("\(name): \(line)\n".utf8))
    }
}
