import Fabric
import Foundation
import Testing

@testable import SharedMemoryFabric

@Suite("Descriptors of shared memory")
struct DescriptorTests {
    /// How many of this process's descriptors are of this file. Others' files do not count: tests run beside each other.
    private static func count(_ inode: UInt64) -> Int {
        let numbers = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return numbers.compactMap(Int32.init).count { number in
            var status = stat()
            // SAFETY: the pointer to the local is used during the call only.
            return unsafe fstat(number, &status) == 0 && UInt64(status.st_ino) == inode && "\(link(number))".contains("verbena")
        }
    }

    private static func link(_ number: Int32) -> String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(number)")) ?? ""
    }

    @Test("a peer's memory takes none once it is mapped; one's own keeps one, for peers to open")
    func closed() throws {
        var pair = try Pair.make()
        let control = pair.right.control.mapping.file!.inode
        let region = try #require(pair.right.regions[Int(pair.rightRegion.identifier)]).file!.inode
        #expect(Self.count(control) == 1 && Self.count(region) == 1)
        // The mapping is as good as before.
        set(pair.leftRegion, 7, 42)
        _ = try pair.left.write(pair.write(64))
        #expect(byte(pair.rightRegion, 7) == 42)
        pair.left.detach(pair.remote)
        #expect(Self.count(region) == 1)
    }

    @Test("errors of the system have causes of their own", arguments: [(EMFILE, "ulimit -Hn"), (EPERM, "seccomp"), (ENOSYS, "seccomp")])
    func errors(code: Int32, remedy: String) {
        #expect(SharedMapping.resourceError(.allocate, errno: code, what: "x", peer: nil).remedy.contains(remedy))
    }

    @Test("who may not open a peer's memory is told of more than the user")
    func permission() {
        let error = SharedMapping.resourceError(.connect, errno: EACCES, what: "x", peer: 1)
        #expect(error.cause == .resource && error.remedy.contains("same user") && error.remedy.contains("capabilities"))
    }
}
