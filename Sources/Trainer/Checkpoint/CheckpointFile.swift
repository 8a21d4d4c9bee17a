import Glibc

/// Reads and replaces files, so that at any time there is a whole one.
enum CheckpointFile {
    /// What is written lies beside the file under its name and this, until it is whole. An interrupted write leaves it; the next one writes over it.
    static let ending = ".partial"

    /// Replaces the file: writes another one beside it, brings that to the disk, gives it the name, and brings the name to the disk. Whatever fails,
    /// or ends the process, the old file or the new one is there, whole.
    static func replace(_ path: String, with bytes: [UInt8]) throws(CheckpointError) {
        try checkReplaceable(path)
        let partial = path + ending
        // SAFETY: C copies the path.
        let file = unsafe open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard file >= 0 else { throw unwritable(path, bytes.count, errno) }
        let failure = write(bytes, to: file)
        guard failure == 0, unsafe rename(partial, path) == 0 else {
            let failure = failure == 0 ? errno : failure
            // SAFETY: C copies the path.
            _ = unsafe unlink(partial)
            throw unwritable(path, bytes.count, failure)
        }
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        // SAFETY: C copies the path. A file system that cannot bring a folder to the disk does so by itself.
        let directory = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if directory >= 0 {
            _ = fsync(directory)
            _ = close(directory)
        }
    }

    /// A device or a folder under this name is not what anybody wants to lose.
    static func checkReplaceable(_ path: String) throws(CheckpointError) {
        var status = stat()
        // SAFETY: the pointer to the local is used during the call only.
        guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG else { return }
        throw CheckpointError(
            .unwritable, path: path, expected: "a file to replace, or none", found: kind(status), remedy: "give another name")
    }

    /// Everything, to the disk; closes the file.
    /// - Returns: 0, or an error's number.
    private static func write(_ bytes: [UInt8], to file: Int32) -> Int32 {
        var done = 0
        var failure: Int32 = 0
        unsafe bytes.withUnsafeBytes { bytes in
            while done < bytes.count, failure == 0 {
                // SAFETY: the rest of the array, which is held for the call.
                let count = unsafe Glibc.write(file, bytes.baseAddress! + done, bytes.count - done)
                if count > 0 { done += count } else if errno != EINTR { failure = count == 0 ? EIO : errno }
            }
        }
        if failure == 0, fsync(file) != 0 { failure = errno }
        if close(file) != 0, failure == 0 { failure = errno }
        return failure
    }

    private static func unwritable(_ path: String, _ byteCount: Int, _ code: Int32) -> CheckpointError {
        let remedy =
            switch code {
            case ENOSPC, EDQUOT, EFBIG: "make room for it, or give a file elsewhere"
            case EACCES, EPERM, EROFS: "give a file in a folder that may be written"
            default: "give a file in a folder that exists and may be written"
            }
        return CheckpointError(
            .unwritable, path: path, expected: "to write \(byteCount) bytes", found: text(code),
            remedy: "\(remedy); what was there before is as it was")
    }

    private static func text(_ code: Int32) -> String {
        // SAFETY: strerror's text is copied at once.
        unsafe String(cString: strerror(code))
    }

    private static func kind(_ status: stat) -> String { status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "something else" }

    /// A file that is read from its beginning.
    struct Source: ~Copyable {
        let path: String
        let byteCount: Int
        private let file: Int32

        init(_ path: String) throws(CheckpointError) {
            (file, byteCount) = try Self.open(path)
            self.path = path
        }

        private static func open(_ path: String) throws(CheckpointError) -> (file: Int32, byteCount: Int) {
            // SAFETY: C copies the path. A FIFO does not keep us waiting.
            let file = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
            guard file >= 0 else {
                let code = errno
                throw CheckpointError(
                    code == ENOENT ? .missing : .unreadable, path: path, expected: "a checkpoint", found: CheckpointFile.text(code),
                    remedy: code == EACCES ? "give this user permission to read it" : "check the path")
            }
            var status = stat()
            // SAFETY: the pointer to the local is used during the call only.
            guard unsafe fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
                _ = close(file)
                throw CheckpointError(
                    .unreadable, path: path, expected: "a file", found: CheckpointFile.kind(status), remedy: "check the path")
            }
            return (file, Int(status.st_size))
        }

        deinit { _ = close(file) }

        /// So many bytes; fewer only where the file ends.
        mutating func read(_ count: Int) throws(CheckpointError) -> [UInt8] {
            let wanted = min(count, byteCount)
            var failure: Int32 = 0
            let file = self.file
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: wanted) { buffer, done in
                while done < wanted {
                    // SAFETY: the rest of the buffer, which is held for the call.
                    let part = unsafe Glibc.read(file, buffer.baseAddress! + done, wanted - done)
                    if part > 0 {
                        done += part
                    } else if part == 0 {
                        return
                    } else if errno != EINTR {
                        failure = errno
                        return
                    }
                }
            }
            guard failure == 0 else {
                throw CheckpointError(
                    .unreadable, path: path, expected: "a readable file", found: CheckpointFile.text(failure),
                    remedy: "check the path and the disk")
            }
            return bytes
        }
    }
}
