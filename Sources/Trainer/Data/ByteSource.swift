import CZlib
import Glibc

/// Reads a file from its beginning, plain or packed by gzip: zlib tells which by the first two bytes.
/// Memory is taken for bytes that are there, never for bytes that a header promises.
@safe
struct ByteSource: ~Copyable {
    /// How many bytes are asked of zlib at once, and so the most that a lying header can cost.
    private static let chunkBytes = 1 << 20

    let path: String
    private let file: gzFile

    init(path: String) throws(DataError) {
        self.path = path
        // Anything but a file, a FIFO say, could keep us waiting for ever.
        var status = stat()
        // SAFETY: the pointer to the local is used during the call only.
        if unsafe stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
            throw DataError(.unreadable, path: path, expected: "a file", found: "something else", remedy: "check the path")
        }
        // SAFETY: the file belongs to this value until its deinit.
        guard let opened = unsafe gzopen(path, "rb") else {
            let code = errno
            throw DataError(
                code == ENOENT ? .missing : .unreadable, path: path, expected: "a readable file", found: Self.text(code),
                remedy: code == EACCES ? "give this user permission to read it" : "check the path")
        }
        unsafe file = opened
    }

    deinit {
        // SAFETY: opened by init, closed only here. Nothing was written, so closing has nothing to report.
        _ = unsafe gzclose_r(file)
    }

    /// Exactly `count` bytes, fewer only where the file ends.
    mutating func read(upTo count: Int) throws(DataError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let wanted = min(Self.chunkBytes, count - bytes.count)
            let piece = unsafe [UInt8](unsafeUninitializedCapacity: wanted) { buffer, initialized in
                // SAFETY: the buffer has room for what is asked, and zlib keeps no pointer to it.
                unsafe initialized = max(0, Int(gzread(file, buffer.baseAddress!, UInt32(wanted))))
            }
            bytes += piece
            if piece.count < wanted {
                try checkStream()
                break
            }
        }
        return bytes
    }

    /// Throws what stopped the last read, where it was not the file's end.
    private func checkStream() throws(DataError) {
        var code: Int32 = 0
        // SAFETY: the message is the stream's own and is copied before its next call.
        let message = unsafe gzerror(file, &code).map { unsafe String(cString: $0) } ?? ""
        switch code {
        case Z_OK, Z_STREAM_END: return
        case Z_BUF_ERROR:
            throw DataError(
                .truncated, path: path, expected: "a whole gzip stream", found: "its end in the middle", remedy: "fetch the file again")
        case Z_ERRNO:
            throw DataError(
                .unreadable, path: path, expected: "a readable file", found: Self.text(errno), remedy: "check the path and the disk")
        default:
            throw DataError(
                .corruptGzip, path: path, expected: "an intact gzip stream", found: message.isEmpty ? "zlib error \(code)" : message,
                remedy: "fetch the file again")
        }
    }

    private static func text(_ code: Int32) -> String {
        // SAFETY: strerror's text is copied at once.
        unsafe String(cString: strerror(code))
    }
}

/// A file that may be packed by gzip.
public enum PackedFile {
    /// All of its bytes, unpacked.
    /// - Throws: `DataError`, also where there are more than `limit`.
    public static func bytes(path: String, limit: Int) throws(DataError) -> [UInt8] {
        var source = try ByteSource(path: path)
        let bytes = try source.read(upTo: limit + 1)
        guard bytes.count <= limit else {
            throw DataError(
                .wrongSize, path: path, expected: "\(limit) bytes at most", found: "more", remedy: "give a smaller file")
        }
        return bytes
    }
}
