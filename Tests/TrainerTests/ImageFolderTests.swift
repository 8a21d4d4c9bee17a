import FoundationEssentials
import Testing

@testable import Trainer

@Suite("Folders of images")
struct ImageFolderTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    // MARK: CIFAR-10

    /// One record: each plane counts up from its own beginning.
    private static func record(label: UInt8, from start: Int = 0) -> [UInt8] {
        [label] + (0..<3).flatMap { channel in (0..<1024).map { UInt8(truncatingIfNeeded: start + channel * 100 + $0) } }
    }

    @Test(
        "CIFAR-10's planes become pixels, files follow each other, with the archive's folder or without",
        arguments: ["", "cifar-10-batches-bin/"])
    func cifar(place: String) throws {
        if !place.isEmpty { try folder.makeFolder(String(place.dropLast())) }
        try folder.write(Self.record(label: 3) + Self.record(label: 9, from: 7), to: place + "data_batch_1.bin")
        try folder.write(Self.record(label: 0), to: place + "data_batch_2.bin")
        try folder.write(Self.record(label: 5), to: place + "test_batch.bin")
        let split = try ImageFolder.load(folder.path)
        let training = try #require(split.training as? ImageDataset)
        #expect(training.labels == [3, 9, 0] && training.input == Shape(height: 32, width: 32, channels: 3) && split.heldOut.count == 1)
        #expect(Array(training.pixels[..<6]) == [0, 100, 200, 1, 101, 201])
        #expect(Array(training.pixels[3072..<3075]) == [7, 107, 207])
    }

    @Test("a damaged file of CIFAR-10 is named, with what is wrong")
    func damagedCIFAR() throws {
        try folder.write(Self.record(label: 3).dropLast(), to: "data_batch_1.bin")
        expectError(.truncated, "data_batch_1.bin: expected records of 3073 bytes")
        try folder.write([], to: "data_batch_1.bin")
        expectError(.truncated, "found 0 bytes")
        try folder.write(Self.record(label: 3) + Self.record(label: 10), to: "data_batch_1.bin")
        expectError(.wrongLabel, "found 10 at index 1")
        try folder.write(Self.record(label: 3), to: "data_batch_1.bin")
        expectError(.missing, "test_batch.bin")
        try folder.makeFolder("test_batch.bin")
        expectError(.unreadable, "test_batch.bin: expected a file")
    }

    private func expectError(_ cause: DataError.Cause, _ words: String) {
        let error = #expect(throws: DataError.self) { _ = try ImageFolder.load(folder.path) }
        #expect(error?.cause == cause && error?.description.contains(words) == true, "\(error as Any)")
    }

    // MARK: NumPy

    /// As numpy.save writes it.
    private static func array(_ type: String, _ shape: String, _ bytes: [UInt8], order: String = "False", version: UInt8 = 1) -> [UInt8] {
        let header = Array("{'descr': '\(type)', 'fortran_order': \(order), 'shape': \(shape), }\n".utf8)
        let length = (0..<(version == 1 ? 2 : 4)).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
        return [0x93] + Array("NUMPY".utf8) + [version, 0] + length + header + bytes
    }

    private static func words(_ values: [Float]) -> [UInt8] {
        values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } }
    }

    @Test("arrays of bytes, and of floats from 0 to 1, with labels of any width")
    func arrays() throws {
        try folder.write(Self.array("|u1", "(2, 1, 2, 3)", (0..<12).map { $0 }), to: "train_images.npy")
        try folder.write(
            Self.array("<i8", "(2,)", [4] + [UInt8](repeating: 0, count: 7) + [9] + [UInt8](repeating: 0, count: 7)), to: "train_labels.npy"
        )
        try folder.write(Self.array("<f4", "(1, 1, 2, 3)", Self.words([0, 1, 0.5, 0.25, 1, 0]), version: 2), to: "test_images.npy")
        try folder.write(Self.array("|u1", "(1,)", [7]), to: "test_labels.npy")
        let split = try ImageFolder.load(folder.path)
        let (training, heldOut) = (try #require(split.training as? ImageDataset), try #require(split.heldOut as? ImageDataset))
        #expect(training.pixels == (0..<12).map { $0 } && training.labels == [4, 9] && training.channels == 3)
        #expect(heldOut.pixels == [0, 255, 128, 64, 255, 0] && heldOut.labels == [7])
    }

    @Test("without a test part the last fifth is held out")
    func divided() throws {
        try folder.write(Self.array("|u1", "(6, 1, 1)", [1, 2, 3, 4, 5, 6]), to: "train_images.npy")
        try folder.write(Self.array("|u1", "(6,)", [1, 2, 3, 4, 5, 6]), to: "train_labels.npy")
        let split = try ImageFolder.load(folder.path)
        #expect(split.training.count == 5 && split.heldOut.count == 1 && split.training.input == Shape(height: 1, width: 1, channels: 1))
    }

    static let damaged: [(bytes: [UInt8], cause: DataError.Cause, words: String)] = [
        ([], .wrongMagic, "an empty file"), (Array("PK and so on".utf8), .wrongMagic, "another format"),
        ([0x93] + Array("NUMPY".utf8) + [1, 0, 3, 0] + Array("{ }".utf8), .wrongMagic, "NumPy's header"),
        (array("<f8", "(6, 1, 1)", []), .wrongType, "found <f8"), (array(">f4", "(6, 1, 1)", []), .wrongType, "found >f4"),
        (array("|u1", "(6, 1, 1)", [1], order: "True"), .wrongType, "Fortran's order"),
        (array("|u1", "(6, 1, 1)", [1, 2]), .truncated, "expected 6 bytes for shape [6, 1, 1], found 2"),
        (array("|u1", "(1, 1, 1)", [1, 2]), .trailingBytes, "more bytes"),
        (array("|u1", "(0, 1, 1)", []), .wrongSize, "shape [0, 1, 1]"), (array("|u1", "(x, 1, 1)", []), .wrongSize, "shape"),
        (array("|u1", "(9223372036854775807, 9, 9)", []), .wrongSize, "shape"),
        (array("|u1", "(6,)", [1, 2, 3, 4, 5, 6]), .wrongSize, "found [6]"),
        (array("|u1", "(1, 3, 1, 2)", [1, 2, 3, 4, 5, 6]), .wrongSize, "images.transpose(0, 2, 3, 1)"),
        (array("<f4", "(6, 1, 1)", words([0, 1, 255, 0, 0, 0])), .wrongSize, "found 255.0 at index 2"),
        (array("<f4", "(6, 1, 1)", words([0, 1, .nan, 0, 0, 0])), .wrongSize, "found nan at index 2"),
        (array("<i4", "(1, 1, 1)", [0, 0, 0, 0]), .mismatch, "expected shape [1]"),
    ]

    @Test("what is no such array is refused, with what it is", arguments: damaged)
    func refused(bytes: [UInt8], cause: DataError.Cause, words: String) throws {
        try folder.write(bytes, to: "train_images.npy")
        try folder.write(Self.array("|u1", "(6,)", [1, 2, 3, 4, 5, 6]), to: "train_labels.npy")
        expectError(cause, words)
    }

    @Test("labels that are none are refused")
    func labels() throws {
        try folder.write(Self.array("|u1", "(2, 1, 1)", [1, 2]), to: "train_images.npy")
        expectError(.missing, "train_labels.npy")
        for (labels, cause, words) in [
            (Self.array("|u1", "(2,)", [1, 10]), DataError.Cause.wrongLabel, "another at index 1"),
            (Self.array("<i4", "(2,)", [1, 0, 0, 0, 255, 255, 255, 255]), .wrongLabel, "another at index 1"),
            (Self.array("<f4", "(2,)", Self.words([1, 2])), .wrongType, "labels.astype"),
            (Self.array("|u1", "(2, 1)", [1, 1]), .mismatch, "[2, 1]"),
        ] {
            try folder.write(labels, to: "train_labels.npy")
            expectError(cause, words)
        }
    }
}
