import Glibc
import Testing

@testable import Trainer

@Suite("IDX files")
struct IDXFileTests {
    @Test("plain and packed give the same images and labels", arguments: [false, true])
    func good(packed: Bool) throws {
        let folder = try TemporaryFolder()
        let write = packed ? folder.writePacked : folder.write
        let dataset = try IDXFile.dataset(
            images: try write(IDXBytes.images(count: 4), "images"), labels: try write(IDXBytes.labels([3, 1, 4, 9]), "labels"))
        #expect(dataset.rows == 2 && dataset.columns == 3 && dataset.count == 4)
        #expect(dataset.labels == [3, 1, 4, 9])
        #expect(dataset.pixels == (0..<24).map { UInt8($0) })
    }

    @Test("larger than what is read at once", arguments: [false, true])
    func large(packed: Bool) throws {
        let folder = try TemporaryFolder()
        let write = packed ? folder.writePacked : folder.write
        let pixels = (0..<2_700_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
        let path = try write(IDXBytes.images(count: 3, rows: 900, columns: 1000, pixels: pixels), "images")
        #expect(try IDXFile.images(path: path).pixels == pixels)
    }

    /// What is wrong, the bytes, and the cause that must be found.
    static let badImages: [(String, [UInt8], DataError.Cause)] = [
        ("empty", [], .truncated),
        ("half a header", Array(IDXBytes.images(count: 2).prefix(10)), .truncated),
        ("half a magic number", [0, 0], .truncated),
        ("one pixel missing", IDXBytes.images(count: 2).dropLast(), .truncated),
        ("one byte more", IDXBytes.images(count: 2) + [0], .trailingBytes),
        ("labels instead of images", IDXBytes.labels(count: 30), .wrongMagic),
        ("text", Array("<!DOCTYPE html><html>not found</html>".utf8), .wrongMagic),
        ("no image", IDXBytes.images(count: 0), .wrongSize),
        ("images without rows", IDXBytes.words([0x803, 2, 0, 3]), .wrongSize),
        ("absurdly many", IDXBytes.words([0x803, 0xFFFF_FFFF, 28, 28]), .wrongSize),
        ("absurdly large", IDXBytes.words([0x803, 1, 0xFFFF_FFFF, 0xFFFF_FFFF]), .wrongSize),
        ("large within each bound, too large together", IDXBytes.words([0x803, 10_000_000, 1024, 1024]), .wrongSize),
        ("a lie within the bounds", IDXBytes.words([0x803, 2000, 1024, 1024]) + [1, 2, 3], .truncated),
    ]

    @Test("that are wrong are refused, with path and remedy", arguments: badImages, [false, true])
    func bad(file: (what: String, bytes: [UInt8], cause: DataError.Cause), packed: Bool) throws {
        let folder = try TemporaryFolder()
        let path = try (packed ? folder.writePacked : folder.write)(file.bytes, "images")
        let error = try #require(throws: DataError.self) { try IDXFile.images(path: path) }
        #expect(error.cause == file.cause, "\(file.what): \(error)")
        expectOneClearLine(error, path)
    }

    @Test("with a label above 9 are refused")
    func wrongLabel() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(IDXBytes.labels([1, 2, 10, 3]), to: "labels")
        let error = try #require(throws: DataError.self) { try IDXFile.labels(path: path) }
        #expect(error.cause == .wrongLabel)
        #expect(error.description.contains("10 at index 2"))
    }

    @Test("of labels that are images, truncated or too long are refused")
    func badLabels() throws {
        let folder = try TemporaryFolder()
        let cases: [([UInt8], DataError.Cause)] = [
            (IDXBytes.images(count: 1), .wrongMagic), (IDXBytes.labels(count: 5).dropLast(), .truncated),
            (IDXBytes.labels(count: 5) + [1], .trailingBytes), (IDXBytes.words([0x801, 0]), .wrongSize),
        ]
        for (bytes, cause) in cases {
            let path = try folder.write(bytes, to: "labels")
            #expect(thrownCause { () throws(DataError) in try IDXFile.labels(path: path) } == cause)
        }
    }

    @Test("with more labels than images are refused")
    func countMismatch() throws {
        let folder = try TemporaryFolder()
        let images = try folder.write(IDXBytes.images(count: 3), to: "images")
        let labels = try folder.write(IDXBytes.labels(count: 4), to: "labels")
        let error = try #require(throws: DataError.self) { try IDXFile.dataset(images: images, labels: labels) }
        #expect(error.cause == .mismatch)
        expectOneClearLine(error, labels)
    }

    @Test("whose gzip stream is damaged anywhere are refused")
    func damagedGzip() throws {
        let folder = try TemporaryFolder()
        var generator = SeededGenerator(seed: 1, purpose: .digits)
        // Bytes that do not compress, so that a flipped bit is a wrong value and not always a broken code.
        let pixels = (0..<6000).map { _ in UInt8(generator.below(256)) }
        let path = try folder.writePacked(IDXBytes.images(count: 1000, pixels: pixels), to: "images.gz")
        let packed = try folder.read("images.gz")
        // Left alone: 0 and 1, which decide what the file is; 4...10, the writer's time and system and a block's padding, which mean
        // nothing to a reader.
        for place in [2, 3] + Array(stride(from: 11, to: packed.count, by: 41)) + (packed.count - 8..<packed.count) {
            var damaged = packed
            damaged[place] ^= 0x10
            try folder.write(damaged, to: "images.gz")
            let error = #expect(throws: DataError.self, "byte \(place)") { try IDXFile.images(path: path).count }
            if place >= packed.count - 8 { #expect(error?.cause == .corruptGzip) }
        }
        for kept in [3, 12, packed.count / 2, packed.count - 8, packed.count - 1] {
            try folder.write(Array(packed.prefix(kept)), to: "images.gz")
            #expect(throws: DataError.self, "\(kept) of \(packed.count) bytes") { try IDXFile.images(path: path).count }
        }
    }

    @Test("that are not there, or are folders, are refused")
    func notThere() throws {
        let folder = try TemporaryFolder()
        let error = try #require(throws: DataError.self) { try IDXFile.images(path: folder.path + "/none") }
        #expect(error.cause == .missing)
        expectOneClearLine(error, folder.path + "/none")
        #expect(thrownCause { () throws(DataError) in try IDXFile.images(path: folder.path) } == .unreadable)
        // A FIFO without a writer: opening it would wait for ever.
        let pipe = folder.path + "/pipe"
        // SAFETY: the string outlives the call.
        #expect(unsafe mkfifo(pipe, 0o600) == 0)
        #expect(thrownCause { () throws(DataError) in try IDXFile.images(path: pipe) } == .unreadable)
    }
}

/// One line that begins with the path and ends with a remedy.
func expectOneClearLine(_ error: DataError, _ path: String) {
    #expect(error.path == path)
    #expect(error.description.hasPrefix("\(path): expected "))
    #expect(!error.description.contains("\n"))
    #expect(!error.remedy.isEmpty && error.description.hasSuffix(error.remedy))
}

/// What the body threw, or nil where it threw nothing.
private func thrownCause<Result>(_ body: () throws(DataError) -> Result) -> DataError.Cause? {
    do {
        _ = try body()
        return nil
    } catch {
        return error.cause
    }
}
