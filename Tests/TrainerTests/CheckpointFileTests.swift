import Foundation
import Testing

@testable import Trainer

@Suite("Files of checkpoints")
struct CheckpointFileTests {
    let folder: TemporaryFolder
    var path: String { "\(folder.path)/run.safetensors" }

    init() throws { folder = try TemporaryFolder() }

    private var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() } }

    @Test("replaces the file by a whole one, and leaves nothing beside it")
    func replaces() throws {
        try CheckpointFile.replace(path, with: [1, 2, 3])
        try CheckpointFile.replace(path, with: [4, 5])
        #expect(try folder.read("run.safetensors") == [4, 5])
        #expect(try names == ["run.safetensors"])
    }

    @Test("what an interrupted write has left is in nobody's way")
    func interrupted() throws {
        try CheckpointFile.replace(path, with: [1, 2, 3])
        try folder.write([UInt8](repeating: 7, count: 1000), to: "run.safetensors" + CheckpointFile.ending)
        #expect(try folder.read("run.safetensors") == [1, 2, 3])
        try CheckpointFile.replace(path, with: [4])
        #expect(try folder.read("run.safetensors") == [4])
        #expect(try names == ["run.safetensors"])
    }

    @Test("a full disk is one line, and the old file stays")
    func fullDisk() throws {
        try CheckpointFile.replace(path, with: [1, 2, 3])
        // The kernel's own full disk, under the name of the file that is written first.
        try FileManager.default.createSymbolicLink(atPath: path + CheckpointFile.ending, withDestinationPath: "/dev/full")
        let error = #expect(throws: CheckpointError.self) { try CheckpointFile.replace(path, with: [4, 5]) }
        #expect(error?.cause == .unwritable)
        #expect(
            error?.description
                == "\(path): expected to write 2 bytes, found No space left on device; make room for it, or give a file elsewhere; "
                + "what was there before is as it was")
        #expect(try folder.read("run.safetensors") == [1, 2, 3])
        #expect(try names == ["run.safetensors"])
    }

    @Test("a folder or a device is not replaced", arguments: ["folder", "/dev/null", "missing/file"])
    func special(name: String) throws {
        try folder.makeFolder("folder")
        let path = name.hasPrefix("/") ? name : "\(folder.path)/\(name)"
        let error = #expect(throws: CheckpointError.self) { try CheckpointFile.replace(path, with: [1]) }
        #expect(error?.cause == .unwritable)
        #expect(try names == ["folder"])
    }

    @Test("a writer tells of a failure once, tries again, and knows how the last one ended")
    func writer() throws {
        let writer = CheckpointWriter(path: path)
        let values = SafetensorsTests.parameter("a", [2], [1, 2])
        writer.write(metadata: [:], tensors: [("a", values)])
        #expect(writer.finish() == nil)
        let first = try folder.read("run.safetensors")

        try FileManager.default.createSymbolicLink(atPath: path + CheckpointFile.ending, withDestinationPath: "/dev/full")
        writer.write(metadata: ["b": "c"], tensors: [("a", values)])
        #expect(writer.finish()?.cause == .unwritable)
        #expect(writer.takeFailure()?.cause == .unwritable)
        #expect(writer.takeFailure() == nil && writer.finish() != nil)
        #expect(try folder.read("run.safetensors") == first)

        // The failed write has taken its file away, so there is room again.
        writer.write(metadata: ["b": "c"], tensors: [("a", values)])
        #expect(writer.finish() == nil)
        let second = try folder.read("run.safetensors")
        #expect(second != first)

        unsafe values.values[1] = .nan
        writer.write(metadata: [:], tensors: [("a", values)])
        #expect(writer.finish()?.cause == .notFinite && writer.takeFailure()?.cause == .notFinite)
        #expect(try folder.read("run.safetensors") == second)
    }
}
