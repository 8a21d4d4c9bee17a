/// One channel to one peer, both ways, as the data path needs it: raw pointers and counters, no reference to count.
struct ChannelState {
    var writer: ArrivalWriter
    /// The peer's.
    let bell: Bell
    /// False once the peer was reported as closed or failed. (Here it lies in the bell's padding, and a channel in 128 bytes.)
    var isOpen = true
    var reader: ArrivalReader
    /// Tickets given out, and reported as completed.
    var posted: UInt64 = 0
    var reported: UInt64 = 0
}

/// All channels, by slot and then channel, in memory that does not move; and which of them hold writes not yet reported as completed.
// SAFETY (whole file): all memory is allocated by `init` and freed by `deinit`; indices are below `count`, which never exceeds `capacity`.
@safe
struct ChannelTable: ~Copyable {
    private let channels: UnsafeMutablePointer<ChannelState>
    private(set) var count = 0
    private let capacity: Int
    /// A stack; each channel is in it at most once.
    private let unreported: UnsafeMutablePointer<Int>
    private(set) var unreportedCount = 0
    /// What channels of peers that are gone look at: no arrival, ever.
    private let quietLine: UnsafeMutableRawPointer

    init(capacity: Int) {
        self.capacity = capacity
        unsafe channels = .allocate(capacity: max(1, capacity))
        unsafe unreported = .allocate(capacity: max(1, capacity))
        unsafe quietLine = .allocate(byteCount: ArrivalEntry.byteCount, alignment: ArrivalEntry.byteCount)
        unsafe quietLine.initializeMemory(as: UInt8.self, repeating: 0, count: ArrivalEntry.byteCount)
    }

    deinit {
        // Channels are trivial: nothing to deinitialise.
        unsafe channels.deallocate()
        unsafe unreported.deallocate()
        unsafe quietLine.deallocate()
    }

    mutating func append(writer: ArrivalWriter, bell: Bell, reader: ArrivalReader) {
        guard count < capacity else { fatalError("more channels than ranks and channels") }
        unsafe (channels + count).initialize(to: ChannelState(writer: writer, bell: bell, reader: reader))
        count += 1
    }

    /// A channel's place, good as long as the table.
    @inline(__always)
    subscript(index: Int) -> UnsafeMutablePointer<ChannelState> { unsafe channels + index }

    /// Counts a write on a channel.
    /// - Returns: its ticket.
    @inline(__always)
    mutating func post(on index: Int) -> UInt64 {
        if unsafe channels[index].posted == channels[index].reported {
            unsafe unreported[unreportedCount] = index
            unreportedCount += 1
        }
        unsafe channels[index].posted += 1
        return unsafe channels[index].posted
    }

    /// Counts a write on a lane whose owner wants no completions.
    @inline(__always)
    func count(on index: Int) -> UInt64 {
        unsafe channels[index].posted += 1
        return unsafe channels[index].posted
    }

    /// A channel whose writes have completed since it was last reported; there is one.
    @inline(__always)
    mutating func takeUnreported() -> Int {
        unreportedCount -= 1
        let index = unsafe unreported[unreportedCount]
        unsafe channels[index].reported = channels[index].posted
        return index
    }

    /// Wakes every peer that sleeps and was written to since its writes were last reported. Comes after a fence.
    func wakeSleepers() {
        for position in 0..<unreportedCount { unsafe channels[unreported[position]].bell.wakeIfAsleep() }
    }

    /// Whether any channel has an arrival.
    @inline(__always)
    var isAnyReady: Bool {
        for index in 0..<count where unsafe channels[index].reader.isReady { return true }
        return false
    }

    mutating func silence(_ index: Int) {
        unsafe channels[index].reader.silence(with: quietLine)
        unsafe channels[index].isOpen = false
    }
}
