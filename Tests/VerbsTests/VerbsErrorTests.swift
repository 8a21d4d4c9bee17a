import Glibc
import Testing

@testable import Verbs

@Suite struct VerbsErrorTests {
    @Test(arguments: [
        ("ibv_reg_mr", ENOMEM, VerbsError.Cause.memoryLockLimit), ("ibv_reg_mr", EAGAIN, .memoryLockLimit),
        ("ibv_create_cq", ENOMEM, .resource),
        ("ibv_open_device", EACCES, .permission), ("ibv_open_device", ENODEV, .noDevice), ("rdma_create_event_channel", ENOENT, .noDevice),
        ("rdma_resolve_addr", ENODEV, .noRoute), ("rdma_bind_addr", ENODEV, .noDevice), ("rdma_bind_addr", EADDRNOTAVAIL, .noDevice),
        ("rdma_resolve_addr", EHOSTUNREACH, .noRoute),
        ("ibv_modify_qp", EINVAL, .system),
    ])
    func causeFollowsFromCallAndErrno(call: String, errno: Int32, cause: VerbsError.Cause) {
        let error = VerbsError(call: call, errno: errno, detail: "testing")
        #expect(error.cause == cause)
        #expect(error.remedy == VerbsError.remedy(for: cause))
    }

    @Test func aLimitOfLockedMemoryNamesEveryWayToRaiseIt() {
        let text = "\(VerbsError(call: "ibv_reg_mr", errno: ENOMEM, detail: "pinning 4096 bytes"))"
        for part in ["ibv_reg_mr", "pinning 4096 bytes", "errno \(ENOMEM)", "ulimit -l unlimited", "limits.conf", "--ulimit memlock=-1"] {
            #expect(text.contains(part))
        }
        #expect(!text.contains("\n"))
    }

    @Test func everyOperatingCauseHasARemedy() {
        for cause in [VerbsError.Cause.noDevice, .portInactive, .memoryLockLimit, .permission, .noRoute, .resource] {
            #expect(!VerbsError.remedy(for: cause).isEmpty)
        }
    }

    @Test func aDeviceThatDoesNotExistIsNoDevice() throws {
        let error = #expect(throws: VerbsError.self) { _ = try DeviceContext(opening: "no-such-device0") }
        #expect(error?.cause == .noDevice)
        #expect(error?.detail.contains("no-such-device0") == true)
    }
}

@Suite struct RetryBoundTests {
    @Test func sevenIsNeverUsedBecauseItMeansForever() {
        #expect(RetryBounds.retryCount < 7)
        #expect(RetryBounds.receiverNotReadyRetryCount < 7)
    }

    @Test func silenceIsBoundedByFourSeconds() {
        // 4.096 us x 2^17 = 536.870912 ms, seven times.
        #expect(RetryBounds.unreachableMilliseconds == 3758)
        #expect(RetryBounds.receiverNotReadyMilliseconds == 3930)
    }
}

@Suite struct InternetAddressTests {
    @Test func textOfAddresses() throws {
        let version4 = try #require(InternetAddress(bytes: [10, 10, 0, 1]))
        #expect("\(SocketAddress(address: version4, port: 4791))" == "10.10.0.1:4791")
        let version6 = try #require(InternetAddress(bytes: [0xFD] + Array(repeating: 0, count: 14) + [1]))
        #expect("\(SocketAddress(address: version6, port: 1))" == "[fd00::1]:1")
        #expect(InternetAddress(bytes: [1, 2, 3]) == nil)
    }

    @Test func mappedIdentifiersAreVersion4AndLinkLocalOnesNothing() {
        let zeros = [UInt8](repeating: 0, count: 10)
        let mapped = GIDDescription(index: 1, kind: .roceVersion2, bytes: zeros + [0xFF, 0xFF, 10, 10, 0, 2], interface: "h2")
        #expect(mapped.address == InternetAddress(bytes: [10, 10, 0, 2]))
        let linkLocal = GIDDescription(
            index: 0, kind: .roceVersion2, bytes: [0xFE, 0x80] + [UInt8](repeating: 1, count: 14), interface: "h2")
        #expect(linkLocal.address == nil)
    }

    @Test func aWakerEndsAWait() throws {
        let waker = try WakeDescriptor()
        var sleepers = SleepSet([-1, waker.descriptor])
        sleepers.wait(nanoseconds: 0)
        #expect(!sleepers.isReadable(0..<2))
        waker.wake()
        sleepers.wait(nanoseconds: 10_000_000_000)
        #expect(!sleepers.isReadable(0..<1) && sleepers.isReadable(1..<2))
        waker.drain()
        sleepers.wait(nanoseconds: 0)
        #expect(!sleepers.isReadable(0..<2))
    }
}
