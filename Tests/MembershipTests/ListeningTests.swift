import Foundation
import NIOCore
import NIOPosix
import Testing

@testable import Membership

/// Where rank 0 listens, and that it and the others meet there, on what this machine has.
@Suite struct ListeningTests {
    static let hasIPv6: Bool = {
        let addresses = (try? String(contentsOfFile: "/proc/net/if_inet6", encoding: .utf8)) ?? ""
        return addresses.contains("00000000000000000000000000000001 ")
    }()

    /// Rank 0 by its own address, rank 1 by the one that all were given.
    private func meet(at written: String) async throws -> String {
        let job = try JobEnvironment(variables: ["RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": written])
        let coordinator = try Coordinator.start(
            host: job.listenAddress, port: 0, worldSize: 2, secret: "x", version: "1",
            bounds: RendezvousBounds(joinTimeoutSeconds: patience),
            logger: quiet)
        let (own, port) = (coordinator.ownAddress, coordinator.port)
        let results = await onThreads(2) { rank throws(RendezvousError) in
            try ControlPlaneClient.join(
                rank: rank, worldSize: 2, host: rank == 0 ? own : job.masterAddress, port: port, secret: "x", version: "1",
                joinTimeoutSeconds: 5, logger: quiet, onVerdict: { _ in })
        }
        for result in results { try result.get().leave() }
        coordinator.stop()
        return own
    }

    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1"), ("127.0.1.1", "127.0.1.1"), ("127.255.0.9", "127.255.0.9"), ("0.0.0.0", "127.0.0.1"),
        ("[::ffff:127.0.0.1]", "127.0.0.1"),
    ])
    func ranksMeetOnIPv4(written: String, own: String) async throws { #expect(try await meet(at: written) == own) }

    @Test(.enabled(if: hasIPv6, "no IPv6 loopback"), arguments: ["::1", "[::1]", "0:0:0:0:0:0:0:1"])
    func ranksMeetOnIPv6(written: String) async throws { #expect(try await meet(at: written) == "::1") }

    @Test func ranksMeetAtTheNamesOfThisMachine() async throws {
        _ = try await meet(at: "localhost")
        // Whatever it resolves to here, and by whichever family; one that does not resolve is no address to meet at.
        let name = ProcessInfo.processInfo.hostName
        if MasterAddress(name) != nil, (try? SocketAddress.makeAddressResolvingHost(name, port: 0)) != nil { _ = try await meet(at: name) }
    }

    /// On every address, a rank is reached by either family; without IPv6, by IPv4.
    @Test func everyAddressMeansBothFamilies() async throws {
        let coordinator = try Coordinator.start(host: "::", port: 0, worldSize: 2, secret: "x", version: "1", logger: quiet)
        let port = coordinator.port
        let hosts = ["127.0.0.1", Self.hasIPv6 ? "::1" : "127.0.0.1"]
        let results = await onThreads(2) { rank throws(RendezvousError) in
            try ControlPlaneClient.join(
                rank: rank, worldSize: 2, host: hosts[rank], port: port, secret: "x", version: "1", joinTimeoutSeconds: 5, logger: quiet,
                onVerdict: { _ in })
        }
        for result in results { try result.get().leave() }
        #expect(coordinator.ownAddress == "127.0.0.1")
        coordinator.stop()
    }

    @Test func aTakenPortIsNotPassedOver() throws {
        let holder = try RawListener()
        let error = #expect(throws: RendezvousError.self) {
            try Coordinator.start(host: "localhost", port: holder.port, worldSize: 2, secret: "x", version: "1", logger: quiet)
        }
        #expect(error?.cause == .configuration)
    }
}
