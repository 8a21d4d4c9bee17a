internal import FoundationEssentials
import Glibc

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
        let size = word(of: "/sys/devices/system/cpu/cpu0/cache/index3/size")
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
        // SAFETY: the text lives for the call.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            // SAFETY: the array is lent for the call, which writes no more than its size.
            let count = unsafe read(descriptor, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += piece[..<count]
        }
    }

    /// The first word of a file; empty where it has none.
    static func word(of path: String) -> String {
        text(of: path).split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
    }
}
