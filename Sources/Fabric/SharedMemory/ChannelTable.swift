/// One channel to one peer, both ways, as the data path needs it: raw pointers and counters, no reference to count.
struct Lane {
    var writer: ArrivalWriter
    /// The peer's.
    let bell: Bell
    /// False once the peer was reported as closed or failed. (Here it lies in the bell's padding, and a lane in 128 bytes.)
    var isOpen = true
    var reader: ArrivalReader
    /// Tickets given out, and reported as completed.
    var posted: UInt64 = 0
    var reported: UInt64 = 0
}

/// All lanes, by slot and then channel, in memory that does not move; and which of them hold writes not yet reported as completed.
// SAFETY (whole file): all memory is allocated by `init` and freed by `deinit`; indices are below `count`, which never exceeds `capacity`.
@safe
struct LaneTable: ~Copyable {
    private let lanes: UnsafeMutablePointer<Lane>
    private(set) var count = 0
    private let capacity: Int
    /// A stack; each lane is in it at most once.
    private let unreported: UnsafeMutablePointer<Int>
    private(set) var unreportedCount = 0
    /// What lanes of peers that are gone look at: no arrival, ever.
    private let quietLine: UnsafeMutableRawPointer

    init(capacity: Int) {
        self.capacity = capacity
        unsafe lanes = .allocate(capacity: max(1, capacity))
        unsafe unreported = .allocate(capacity: max(1, capacity))
        unsafe quietLine = .allocate(byteCount: ArrivalEntry.byteCount, alignment: ArrivalEntry.byteCount)
        unsafe quietLine.initializeMemory(as: UInt8.self, repeating: 0, count: ArrivalEntry.byteCount)
    }

    deinit {
        // Lanes are trivial: nothing to deinitialise.
        unsafe lanes.deallocate()
        unsafe unreported.deallocate()
        unsafe quietLine.deallocate()
    }

    mutating func append(writer: ArrivalWriter, bell: Bell, reader: ArrivalReader) {
        guard count < capacity else { fatalError("more lanes than ranks and channels") }
        unsafe (lanes + count).initialize(to: Lane(writer: writer, bell: bell, reader: reader))
        count += 1
    }

    /// A lane's place, good as long as the table.
    @inline(__always)
    subscript(index: Int) -> UnsafeMutablePointer<Lane> { unsafe lanes + index }

    /// Counts a write on a lane.
    /// - Returns: its ticket.
    @inline(__always)
    mutating func post(on index: Int) -> UInt64 {
        if unsafe lanes[index].posted == lanes[index].reported {
            unsafe unreported[unreportedCount] = index
            unreportedCount += 1
        }
        unsafe lanes[index].posted += 1
        return unsafe lanes[index].posted
    }

    /// The same for an owner that is told of no completion.
    @inline(__always)
    func count(on index: Int) -> UInt64 {
        unsafe lanes[index].posted += 1
        return unsafe lanes[index].posted
    }

    /// A lane whose writes have completed since it was last reported; there is one.
    @inline(__always)
    mutating func takeUnreported() -> Int {
        unreportedCount -= 1
        let index = unsafe unreported[unreportedCount]
        unsafe lanes[index].reported = lanes[index].posted
        return index
    }

    /// Wakes every peer that sleeps and was written to since its writes were last reported. Comes after a fence.
    func wakeSleepers() {
        for position in 0..<unreportedCount { unsafe lanes[unreported[position]].bell.wakeIfAsleep() }
    }

    /// Whether any lane has an arrival.
    @inline(__always)
    var isAnyReady: Bool {
        for index in 0..<count where unsafe lanes[index].reader.isReady { return true }
        return false
    }

    mutating func silence(_ index: Int) {
        unsafe lanes[index].reader.silence(with: quietLine)
        unsafe lanes[index].isOpen = false
    }
}
