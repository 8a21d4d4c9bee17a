/// A world in virtual time: the tables and what happens to them. One thread at a time; `SimulatedNetwork` sees to that.
///
/// Files: this one is set-up and the clock; `+Posting` takes writes, `+Sharing` divides wires, `+Stages` moves writes on, `+Taking` hands events
/// to ranks, `+Memory` and `+Checks` carry bytes and look at them, `+Fates` lets things go wrong.
struct World: ~Copyable {
    let options: SimulationOptions
    var random: SeededRandom
    var clock: UInt64 = 0
    var queue = EventQueue()
    var ranks: [RankState]
    var links: [PeerLink] = []
    var flows: [Flow] = []
    var wires: [WireState] = []
    var messages: [Message] = []
    var freeMessages = none
    var trace: Trace
    var violation: Violation?
    /// Beginnings and ends of faults, by time.
    var faults: [Turn] = []
    var faultsDone = 0
    /// Ranks to run now: a ring with room for all.
    var runnable: [Int32]
    var runnableHead = 0
    var runnableCount = 0
    /// The rank that the driver is running.
    var running = none
    var scratch: Scratch?
    var eventCount = 0
    /// Nothing is drawn, checked or broken: then a flow that is alone on its wires needs no event to depart.
    let isPlain: Bool
    /// Plain, and acknowledgements come after a fixed time: then counting them is enough, and a write is forgotten when it is taken.
    let countsAcknowledgements: Bool

    struct Turn {
        var fault: Fault
        var isEnd: Bool
        var time: UInt64
        var number: Int
    }

    init(options: SimulationOptions, faults: [Fault]) {
        self.options = options
        random = SeededRandom(seed: options.seed)
        ranks = Self.ranks(options)
        runnable = Array(repeating: none, count: ranks.count)
        trace = Trace(depth: options.traceDepth)
        isPlain =
            faults.isEmpty && !options.isChecking && options.traceDepth == 0 && options.receiverNotReadyPerMille == 0
            && options.wire.jitterNanoseconds == 0 && options.memory.jitterNanoseconds == 0
        countsAcknowledgements =
            isPlain && options.writesPerCompletion > 1 && options.arrivalDelayNanoseconds == 0 && options.completionDelayNanoseconds == 0
        for (number, fault) in faults.enumerated() {
            self.faults.append(Turn(fault: fault, isEnd: false, time: fault.atNanoseconds, number: number))
            guard fault.forNanoseconds > 0 else { continue }
            let (end, overflow) = fault.atNanoseconds.addingReportingOverflow(fault.forNanoseconds)
            if !overflow { self.faults.append(Turn(fault: fault, isEnd: true, time: end, number: number)) }
        }
        self.faults.sort { ($0.time, $0.number, $0.isEnd ? 1 : 0) < ($1.time, $1.number, $1.isEnd ? 1 : 0) }
        queue.addSlots(2 * ranks.count + 1)
        addWires()
        scheduleFault()
    }

    // MARK: slots of the queue

    enum Stage: Int {
        case depart, place, arrive, acknowledge
    }

    private static var stages: Int { 4 }
    var slotsPerLink: Int { 1 + Self.stages * options.channelsPerPeer }
    private var firstLinkSlot: Int { 2 * ranks.count + 1 }

    func runSlot(_ rank: Int) -> Int { 2 * rank }
    func alarmSlot(_ rank: Int) -> Int { 2 * rank + 1 }
    var faultSlot: Int { 2 * ranks.count }
    @inline(__always)
    func fateSlot(_ link: Int) -> Int { firstLinkSlot + link * slotsPerLink }

    @inline(__always)
    func slot(_ stage: Stage, _ flow: Int) -> Int {
        let link = Int(flows[flow].link)
        return fateSlot(link) + 1 + Self.stages * (flow - Int(links[link].firstFlow)) + stage.rawValue
    }

    /// Among events of the same time the seed decides, where the world is checked; where it is measured, their place does.
    mutating func schedule(_ slot: Int, at time: UInt64) {
        let order = options.isChecking ? UInt32(truncatingIfNeeded: random.next()) : 0
        queue.schedule(slot, at: time, order: order)
    }

    // MARK: time

    /// Lets the next thing happen.
    mutating func step() {
        guard let event = queue.popFirst() else { return }
        clock = max(clock, event.time)
        eventCount += 1
        let slot = Int(event.slot)
        guard slot >= firstLinkSlot else {
            if slot == faultSlot { return turnFaults() }
            let rank = slot / 2
            return slot % 2 == 0 ? becomeRunnable(rank) : notify(rank)
        }
        let (link, part) = (slot - firstLinkSlot).quotientAndRemainder(dividingBy: slotsPerLink)
        if part == 0 { return meetFate(link) }
        let flow = Int(links[link].firstFlow) + (part - 1) / Self.stages
        switch Stage(rawValue: (part - 1) % Self.stages) {
        case .depart: depart(flow)
        case .place: place(flow)
        case .arrive: arrive(flow)
        case .acknowledge: acknowledge(flow)
        case nil: break
        }
    }

    /// Who will most likely run because of an event.
    @inline(__always)
    func rank(concernedBy event: EventQueue.Event) -> Int {
        let slot = Int(event.slot)
        guard slot >= firstLinkSlot else { return min(slot / 2, ranks.count - 1) }
        let (link, part) = (slot - firstLinkSlot).quotientAndRemainder(dividingBy: slotsPerLink)
        let stage = Stage(rawValue: (part - 1) % Self.stages)
        return Int(part > 0 && (stage == .place || stage == .arrive) ? links[link].peer : links[link].rank)
    }

    /// The rank that is to run now, letting things happen until there is one; nil where nothing is left to happen before `limit`, or
    /// after a violation.
    mutating func advance(until limit: UInt64) -> Int? {
        if running != none {
            let rank = Int(running)
            running = none
            if ranks[rank].isRunning {
                ranks[rank].isRunning = false
                if ranks[rank].readyHead != none { notify(rank) }
            }
        }
        while violation == nil {
            if runnableCount > 0 {
                let rank = Int(runnable[runnableHead])
                runnableHead = runnableHead + 1 == runnable.count ? 0 : runnableHead + 1
                runnableCount -= 1
                ranks[rank].isScheduled = false
                guard !ranks[rank].isDead, !ranks[rank].isClosed else { continue }
                ranks[rank].isRunning = true
                running = Int32(truncatingIfNeeded: rank)
                if trace.isOn { record(.run, rank: rank) }
                return rank
            }
            guard let next = queue.next, next.time <= limit else { return nil }
            step()
        }
        return nil
    }

    /// Something is there for the rank: it runs as soon as it can.
    mutating func notify(_ rank: Int) {
        guard !ranks[rank].isScheduled, !ranks[rank].isRunning, !ranks[rank].isDead, !ranks[rank].isClosed else { return }
        ranks[rank].isScheduled = true
        var time = max(clock, ranks[rank].busyUntil, ranks[rank].pausedUntil)
        if options.wakeJitterNanoseconds > 0 { time += UInt64(random.below(Int(options.wakeJitterNanoseconds) + 1)) }
        if time == clock { enlist(rank) } else { schedule(runSlot(rank), at: time) }
    }

    private mutating func enlist(_ rank: Int) {
        let place = runnableHead + runnableCount
        runnable[place < runnable.count ? place : place - runnable.count] = Int32(truncatingIfNeeded: rank)
        runnableCount += 1
    }

    private mutating func becomeRunnable(_ rank: Int) {
        if ranks[rank].pausedUntil > clock { return schedule(runSlot(rank), at: ranks[rank].pausedUntil) }
        enlist(rank)
    }

    // MARK: messages

    mutating func takeMessage() -> Int {
        if freeMessages == none {
            messages.append(Message())
            return messages.count - 1
        }
        let message = Int(freeMessages)
        freeMessages = messages[message].next
        return message
    }

    mutating func free(_ message: Int) {
        messages[message].kind = .free
        messages[message].next = freeMessages
        freeMessages = Int32(truncatingIfNeeded: message)
    }

    mutating func record(_ kind: Trace.Kind, rank: Int, flow: Int? = nil, message: Int? = nil, peer: Int = 0, ticket: UInt64 = 0) {
        var record = Trace.Record(
            time: clock, ticket: ticket, byteCount: 0, immediate: 0, rank: Int32(truncatingIfNeeded: rank),
            peer: Int32(truncatingIfNeeded: peer), channel: 0, kind: kind)
        if let flow {
            let link = links[Int(flows[flow].link)]
            record.peer = Int(link.rank) == rank ? link.peer : link.rank
            record.channel = flows[flow].index
        }
        if let message {
            record.ticket = messages[message].ticket
            record.byteCount = messages[message].byteCount
            record.immediate = messages[message].immediate
        }
        trace.add(record)
    }
}
