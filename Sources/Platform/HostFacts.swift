internal import Foundation

/// What the kernel says of the host and of this process, in /proc and /sys.
package enum HostFacts {
    /// Whether the process has this capability, by its number in capabilities(7), in effect.
    package static func hasCapability(_ number: UInt64) -> Bool {
        let mask = value(of: "CapEff", in: "/proc/self/status").flatMap { UInt64($0, radix: 16) } ?? 0
        return mask >> number & 1 == 1
    }

    /// What the machine could give now without swapping, as the kernel estimates it; nil where it does not say. Limits are `MemoryRoom`'s.
    static func availableMemoryByteCount() -> Int? {
        value(of: "MemAvailable", in: "/proc/meminfo").flatMap { Int($0) }.map { $0 << 10 }
    }

    /// The last cache before memory, which the cores share; nil where the kernel does not say.
    package static func lastCacheByteCount() -> Int? {
        let size = text(of: "/sys/devices/system/cpu/cpu0/cache/index3/size").trimmingCharacters(in: .whitespacesAndNewlines)
        return size.hasSuffix("K") ? Int(size.dropLast()).map { $0 << 10 } : nil
    }

    /// The first word after `NAME:` in a file of such lines.
    package static func value(of name: String, in path: String) -> String? {
        let line = text(of: path).split(separator: "\n").first { $0.hasPrefix("\(name):") }
        return line?.dropFirst(name.count + 1).split(whereSeparator: \.isWhitespace).first.map(String.init)
    }

    /// What a folder holds, sorted; nothing where it cannot be read.
    package static func names(in folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    }

    /// A file to its end; empty where it cannot be read. A file of /proc gives a page at a time, and `String(contentsOfFile:)` takes the first for all.
    package static func text(of path: String) -> String {
        guard let file = FileHandle(forReadingAtPath: path) else { return "" }
        var bytes = Data()
        while let piece = try? file.read(upToCount: pieceBytes), !piece.isEmpty { bytes += piece }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static let pieceBytes = 1 << 16
}
