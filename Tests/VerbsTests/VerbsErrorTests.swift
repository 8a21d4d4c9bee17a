import Glibc
import Platform
import Testing

@testable import Verbs

@Suite struct VerbsErrorTests {
    @Test(arguments: [
        ("ibv_create_cq", ENOMEM, VerbsError.Cause.resource),
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
        let limit = MemoryLockLimit(byteCount: 65536, pinnedByteCount: 61441)
        let error = VerbsError(pinning: 0..<4096, of: 4096, errno: ENOMEM, on: "rxe1", limit: limit)
        #expect(error.cause == .memoryLockLimit)
        let text = "\(error)"
        for part in ["ibv_reg_mr", "pinning 4096 bytes", "errno \(ENOMEM)", "ulimit -l unlimited", "limits.conf", "--ulimit memlock=-1"] {
            #expect(text.contains(part))
        }
        #expect(!text.contains("\n"))
    }

    /// The same errno value where no limit of locked memory stands in the way: the device takes no more.
    @Test(arguments: [
        MemoryLockLimit(), MemoryLockLimit(byteCount: 65536, pinnedByteCount: 61440), MemoryLockLimit(byteCount: 1, isExempt: true),
    ])
    func theRemedyFitsTheCause(limit: MemoryLockLimit) {
        for errno in [ENOMEM, EAGAIN, EINVAL] {
            let error = VerbsError(pinning: 4096..<8192, of: 10_000, errno: errno, on: "rxe1", limit: limit)
            #expect(error.cause == .resource)
            #expect(error.remedy.contains("smaller or fewer buffers") && !error.remedy.contains("ulimit"))
            #expect(error.detail.contains("pinning 4096 bytes of 10000 on rxe1"))
        }
        #expect(VerbsError(pinning: 0..<1, of: 1, errno: EFAULT, on: "rxe1", limit: limit).remedy.contains("mapped"))
        #expect(VerbsError(pinning: 0..<1, of: 1, errno: EACCES, on: "rxe1", limit: limit).cause == .permission)
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

    @Test(arguments: [
        ("10.10.0.0/24", ["10.10.0.1", "10.10.0.255"], ["10.10.1.0", "fd00::1"]), ("10.10.0.7", ["10.10.0.7"], ["10.10.0.6"]),
        ("10.0.0.0/9", ["10.127.255.255"], ["10.128.0.0"]), ("::/0", ["fd00::1"], ["10.0.0.1"]),
        ("fd00::8/125", ["fd00::f"], ["fd00::10"]),
    ])
    func subnetsContain(text: String, inside: [String], outside: [String]) throws {
        let subnet = try #require(Subnet(text: text))
        #expect("\(subnet)" == text)
        for address in inside { #expect(subnet.contains(try #require(InternetAddress(text: address)))) }
        for address in outside { #expect(!subnet.contains(try #require(InternetAddress(text: address)))) }
    }

    @Test(arguments: ["", "10.10.0", "10.10.0.1/", "10.10.0.1/33", "10.10.0.1/-1", "10.10.0.1/1/2", "rxe1", "fd00::1/129", "[fd00::1]"])
    func whatIsNoSubnet(text: String) { #expect(Subnet(text: text) == nil) }

    @Test func interfacesSayWhatTheyReach() throws {
        let loopback = try #require(InternetAddress(text: "127.0.0.1"))
        #expect(subnet(of: loopback)?.prefixLength == 8)
        #expect(subnet(of: try #require(InternetAddress(text: "203.0.113.9"))) == nil)
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
