import Glibc
import Reduction

/// Arrays of bytes at chosen places within a cache line, with a guard before and behind each.
@safe final class Arena {
    static let guardBytes = 64
    static let guardValue: UInt8 = 0xa5

    /// Where the arrays begin, and how many bytes each has.
    let starts: [UnsafeMutableRawPointer]
    let byteCount: Int

    /// - Parameter offsets: one array for each, at so many bytes from a cache line, less than a line.
    init(byteCount: Int, offsets: [Int]) {
        self.byteCount = byteCount
        // SAFETY: this object owns the memory until its end.
        unsafe starts = offsets.map { offset in
            unsafe UnsafeMutableRawPointer.allocate(byteCount: byteCount + 3 * Self.guardBytes, alignment: 64) + Self.guardBytes + offset
        }
        self.offsets = offsets
    }

    private let offsets: [Int]

    deinit {
        // SAFETY: the memory is this object's own, and this is its end.
        for index in offsets.indices { unsafe (starts[index] - Self.guardBytes - offsets[index]).deallocate() }
    }

    /// Fills an array; guards it anew up to the first `count` bytes and behind.
    func load(_ index: Int, _ bytes: UnsafeRawBufferPointer) {
        // SAFETY: the caller lends at most `byteCount` bytes, and the arena has room for them between its guards.
        unsafe memset(starts[index] - Self.guardBytes, Int32(Self.guardValue), bytes.count + 2 * Self.guardBytes)
        if let start = bytes.baseAddress { unsafe memcpy(starts[index], start, bytes.count) }
    }

    /// Guards an array of so many bytes, and makes its content garbage.
    func clear(_ index: Int, byteCount: Int) {
        // SAFETY: the arena has room for the bytes between its guards.
        unsafe memset(starts[index] - Self.guardBytes, Int32(Self.guardValue), byteCount + 2 * Self.guardBytes)
    }

    /// Whether an array holds exactly these bytes, between guards that nobody touched.
    func holds(_ index: Int, _ bytes: UnsafeRawBufferPointer) -> Bool {
        // SAFETY: the caller lends the bytes; the arena's own memory reaches a guard beyond them.
        if let start = bytes.baseAddress, unsafe memcmp(starts[index], start, bytes.count) != 0 { return false }
        return (0..<Self.guardBytes).allSatisfy { place in
            unsafe (starts[index] - 1 - place).load(as: UInt8.self) == Self.guardValue
                && (starts[index] + bytes.count + place).load(as: UInt8.self) == Self.guardValue
        }
    }
}
