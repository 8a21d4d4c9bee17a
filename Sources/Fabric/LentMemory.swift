// Sendable without the compiler's proof: the pointer is not followed here; who may touch the bytes when is their owner's protocol.
/// Memory that a fabric did not allocate, lent to it for as long as a region of it exists.
@safe
public struct LentMemory: @unchecked Sendable {
    /// The first byte; it needs no alignment.
    public let base: UnsafeMutableRawPointer
    public let byteCount: Int
    /// The file whose first bytes this memory maps, by which a process of this machine can map it, too; nil where there is none.
    public let file: MemoryFile?
    /// What keeps the memory mapped: a region of it holds this object. Nil where the caller promises to keep the memory mapped.
    public let keeper: AnyObject?

    @unsafe
    public init(_ base: UnsafeMutableRawPointer, byteCount: Int, file: MemoryFile? = nil, keeper: AnyObject? = nil) {
        // SAFETY: the keeper, or else the caller, keeps the memory mapped.
        unsafe self.base = base
        self.byteCount = byteCount
        self.file = file
        self.keeper = keeper
    }
}

/// How a process of this machine opens memory of another process, while that lives.
public struct MemoryFile: Sendable {
    /// As /proc numbers it.
    public var process: Int32
    public var descriptor: Int32
    public var inode: UInt64
    public var byteCount: UInt64

    public init(process: Int32, descriptor: Int32, inode: UInt64, byteCount: UInt64) {
        self.process = process
        self.descriptor = descriptor
        self.inode = inode
        self.byteCount = byteCount
    }

    public init?(from reader: inout WireReader) {
        guard let process: Int32 = reader.read(), let descriptor: Int32 = reader.read(), let inode: UInt64 = reader.read(),
            let byteCount: UInt64 = reader.read(), byteCount > 0, byteCount < 1 << 48
        else { return nil }
        self.init(process: process, descriptor: descriptor, inode: inode, byteCount: byteCount)
    }

    public func encode(into writer: inout WireWriter) {
        writer.append(process)
        writer.append(descriptor)
        writer.append(inode)
        writer.append(byteCount)
    }
}
