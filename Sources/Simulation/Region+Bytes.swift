internal import Fabric

// The trainer's side of a region.
// SAFETY (whole file): regions belong to the network, which outlives the seats that use them; everything runs on one thread; a seat touches a range only
// while no operation has it.
extension Region {
    func fill(_ range: Range<Int>, with byte: UInt8) {
        unsafe (base + range.lowerBound).initializeMemory(as: UInt8.self, repeating: byte, count: range.count)
    }

    func store(_ bytes: [UInt8], at offset: Int) {
        guard !bytes.isEmpty else { return }
        unsafe bytes.withUnsafeBytes { unsafe (base + offset).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    }

    func load(at offset: Int, count: Int) -> [UInt8] {
        unsafe Array(UnsafeRawBufferPointer(start: base + offset, count: count))
    }
}
