/// Where operations find their memory: places for inputs in one buffer, for outputs in another, gradients in a third, residuals of these in a fourth.
struct MemoryLayoutPlan {
    /// Between places, and after the last; nobody writes there.
    static let guardBytes = 64
    static let guardByte: UInt8 = 0xC3

    /// By number of the place: where it begins in either buffer.
    private(set) var offsets: [Int: Int] = [:]
    /// Places, in bytes.
    private(set) var sizes: [Int: Int] = [:]
    let bufferBytes: [Int]

    init(_ program: Program) {
        for operation in program.operations {
            // One more for the rank that disagrees.
            let most = (operation.count + 1) * program.worldSize * operation.type.byteCount
            sizes[operation.place] = max(sizes[operation.place] ?? 0, most)
        }
        var next = Self.guardBytes
        for (place, size) in sizes.sorted(by: { $0.key < $1.key }) {
            offsets[place] = next
            next += (size + Self.guardBytes + 63) / 64 * 64
        }
        let gradients = program.training?.layout.byteCount ?? 0
        bufferBytes = [next, next, max(64, gradients)] + (program.training.map { $0.wire != .plain } == true ? [max(64, gradients)] : [])
    }
}
