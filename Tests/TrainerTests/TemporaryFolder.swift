import CZlib
import FoundationEssentials

/// A new folder that goes with this object.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("trainer-tests-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    @discardableResult
    func write(_ bytes: [UInt8], to name: String) throws -> String {
        let file = "\(path)/\(name)"
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        return file
    }

    /// Packs by zlib's own gzip writer.
    @discardableResult
    func writePacked(_ bytes: [UInt8], to name: String) throws -> String {
        let file = "\(path)/\(name)"
        guard let stream = unsafe gzopen(file, "wb") else { throw CocoaError(.fileWriteUnknown) }
        // SAFETY: the stream is open until gzclose, and the bytes outlive the call.
        let written = unsafe gzwrite(stream, bytes, UInt32(bytes.count))
        guard unsafe gzclose(stream) == Z_OK && Int(written) == bytes.count else { throw CocoaError(.fileWriteUnknown) }
        return file
    }

    func makeFolder(_ name: String) throws {
        try FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: true)
    }

    func read(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)"))) }
}

/// IDX files in memory.
enum IDXBytes {
    static func images(count: Int, rows: Int = 2, columns: Int = 3, pixels: [UInt8]? = nil) -> [UInt8] {
        let body = pixels ?? (0..<count * rows * columns).map { UInt8(truncatingIfNeeded: $0) }
        return words([0x803, count, rows, columns]) + body
    }

    static func labels(_ labels: [UInt8]) -> [UInt8] { words([0x801, labels.count]) + labels }

    /// `count` labels 0, 1, ... 9, 0, ...
    static func labels(count: Int) -> [UInt8] { labels((0..<count).map { UInt8($0 % 10) }) }

    static func words(_ values: [Int]) -> [UInt8] {
        values.flatMap { value in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }
    }
}
