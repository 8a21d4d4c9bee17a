import Glibc
import Reduction

@testable import Collectives

/// One operation, its schedules carried out by all ranks on symbols, and what is wrong with them.
///
/// A schedule's steps do not depend on what arrives when, so one run shows every order of events, if we note what comes before what: each
/// rank has a vector clock, which a message carries to its receiver. A write reads its source and stores into its target at some
/// time between its posting and its receipt; whatever touches the same memory must come before the one or after the other. So there is
/// no order that a fabric could choose in which a slot is overwritten before it was read, a source changes under way, or
/// memory is touched of a rank that has not begun or has ended the operation.
@safe
final class Rehearsal {
    let operation: Operation
    let topology: Topology
    let shapes: [Shape]
    let ranks: Int
    private(set) var faults: [String] = []
    /// Messages on one channel unread at once, at most, whatever the order; and those of them that a rank may get before it begins.
    private(set) var maxUnread = 0
    private(set) var maxEarly = 0

    private let schedules: [Schedule]
    /// Five for each rank: input, output (unused in place), gated and eager slots, and the gated ones by bytes, where there is a wire format.
    private var memory: [Memory] = []
    /// Of each rank: for each other how many of its steps are known to be over; then for each channel, by sender and receiver, how many of
    /// its writes are known to have arrived, and to have been read.
    private var clocks: [[Int32]]
    private var links: [Link]
    /// Channels between two ranks, each in order by itself.
    private let channels: Int
    /// All that ranks gave: no sums.
    private var givenSymbols: Set<UInt64> = []

    private struct Link {
        /// The sender's clock at each message.
        var messages: [[Int32]] = []
        var consumed = 0
        /// When, by the receiver's clock.
        var consumedAt: [Int32] = []
    }

    private struct Access {
        var range: Range<Int>
        /// Over for whoever's clock says so: `clock[component] >= time`.
        var component: Int
        var time: Int32
    }

    // SAFETY: the symbols are the rehearsal's until its end.
    @safe
    private struct Memory {
        var symbols: UnsafeMutableBufferPointer<UInt64>
        var reads: [Access] = []
        var writes: [Access] = []
    }

    private enum Space: Int { case input, output, gated, eager, encoded }
    private static let spaces = 5

    init(_ operation: Operation, _ algorithm: Algorithm, _ topology: Topology, shapes: [Shape], places: Int? = nil) {
        self.operation = operation
        self.topology = topology
        self.shapes = shapes
        ranks = topology.worldSize
        schedules = shapes.map { shape in
            guard let places else { return Schedule(algorithm, shape) }
            var compressed = Compressed(shape)
            compressed.places = places
            return .compressed(compressed)
        }
        channels = shapes[0].channels
        let count = ranks * ranks * channels
        clocks = Array(repeating: Array(repeating: 0, count: ranks + 2 * count), count: ranks)
        links = Array(repeating: Link(), count: count)
        for rank in 0..<ranks {
            let needs = shapes[rank].extents.needs(of: rank)
            let counts = [
                max(needs.input, operation.isInPlace ? needs.output : 0), operation.isInPlace ? 0 : needs.output,
                shapes[rank].gatedSlots * shapes[rank].chunkElements, ranks * shapes[rank].count,
                // Bytes of the gated slots.
                operation.wire == .plain ? 0 : 4 * shapes[rank].gatedSlots * shapes[rank].chunkElements,
            ]
            for (space, count) in counts.enumerated() {
                let symbols = UnsafeMutableBufferPointer<UInt64>.allocate(capacity: count)
                unsafe fill(symbols, rank, space)
                unsafe memory.append(Memory(symbols: symbols))
            }
        }
    }

    deinit {
        for index in memory.indices { unsafe memory[index].symbols.deallocate() }
    }

    /// What lies in a memory at first: the rank's input, where it belongs, and else nothing of use.
    private func fill(_ symbols: UnsafeMutableBufferPointer<UInt64>, _ rank: Int, _ space: Int) {
        let input = shapes[rank].extents.input(of: rank)
        var index = 0
        // SAFETY: the caller lends the memory.
        while index < symbols.count {
            let isInput = space == 0 && input.contains(index)
            let symbol = isInput ? Symbol.input(rank, index - input.lowerBound) : Symbol.nothing(Self.spaces * rank + space, index)
            if isInput, operation.collective.reduces { givenSymbols.insert(symbol) }
            unsafe symbols[index] = symbol
            index += 1
        }
    }

    private func fault(_ text: @autoclosure () -> String) {
        if faults.count < 4 { faults.append(text()) }
    }

    // MARK: running

    /// Every rank goes as far as it can, in turn, until nobody can.
    func run() {
        var places = Array(repeating: 0, count: ranks)
        let counts = schedules.map(\.count)
        for rank in 0..<ranks { clocks[rank][rank] = 1 }
        var moved = true
        while moved {
            moved = false
            for rank in 0..<ranks {
                while places[rank] < counts[rank], take(schedules[rank][places[rank]], rank) {
                    places[rank] += 1
                    moved = true
                }
            }
        }
        for rank in 0..<ranks where places[rank] < counts[rank] {
            return fault("rank \(rank) waits for ever at step \(places[rank]): \(schedules[rank][places[rank]])")
        }
        end()
    }

    private func take(_ step: Step, _ rank: Int) -> Bool {
        if let peer = step.receive {
            let link = link(from: peer, to: rank, step.channel)
            guard links[link].consumed < links[link].messages.count else { return false }
        }
        clocks[rank][rank] += 1
        if let peer = step.receive { receive(rank, link(from: peer, to: rank, step.channel)) }
        if step.drain { drain(rank) }
        if let action = step.action { perform(action, rank) }
        if let send = step.send { post(send, rank, link(from: rank, to: send.peer, step.channel)) }
        return true
    }

    private func link(from sender: Int, to receiver: Int, _ channel: Int) -> Int {
        (sender * ranks + receiver) * channels + channel % channels
    }

    private func arrival(_ link: Int) -> Int { ranks + 2 * link }
    private func reading(_ link: Int) -> Int { ranks + 2 * link + 1 }

    private func drain(_ rank: Int) {
        for link in link(from: rank, to: 0, 0)..<link(from: rank + 1, to: 0, 0) {
            clocks[rank][reading(link)] = Int32(links[link].messages.count)
        }
    }

    private func receive(_ rank: Int, _ link: Int) {
        let number = links[link].consumed
        links[link].consumed += 1
        links[link].consumedAt.append(clocks[rank][rank])
        let sender = links[link].messages[number]
        unsafe clocks[rank].withUnsafeMutableBufferPointer { clock in
            unsafe sender.withUnsafeBufferPointer { sender in
                // SAFETY: both hold one number for each component.
                for index in 0..<clock.count where unsafe sender[index] > clock[index] { unsafe clock[index] = sender[index] }
            }
        }
        clocks[rank][arrival(link)] = Int32(number + 1)
        clocks[rank][reading(link)] = Int32(number + 1)
    }

    private func post(_ send: Send, _ rank: Int, _ link: Int) {
        let number = links[link].messages.count
        if send.peer == rank { fault("rank \(rank) writes to itself") }
        links[link].messages.append(clocks[rank])
        let known = clocks[rank][send.peer]
        maxUnread = max(maxUnread, number + 1 - links[link].consumedAt.count { $0 <= known })
        if known == 0 { maxEarly = max(maxEarly, number + 1) }
        guard send.count > 0 else { return }
        if send.count > shapes[rank].messageElements * (send.countsBytes ? 4 : 1) { fault("a message of \(send.count) elements") }
        // In flight: after everything that the sender knows, and after what was posted on the channel before.
        var clock = clocks[rank]
        clock[arrival(link)] = Int32(number)
        clock[reading(link)] = Int32(number)
        let target: Location =
            switch send.target {
            case .gated(let slot): .gated(slot: slot)
            case .gatedElement(let element): .gatedElement(element)
            case .eager(let owner): .eager(rank: owner)
            case .output(let start): .output(start)
            case .encoded(let byte): .encoded(byte)
            case .invited(let start): .output(shapes[send.peer].extents.received(from: rank).lowerBound + start)
            case .invitation: invariantFailure("an invitation has no elements")
            }
        let time = Int32(number + 1)
        let from = touch(send.source, send.count, of: rank, by: (reading(link), time), clock, isWrite: false)
        let to = touch(target, send.count, of: send.peer, by: (arrival(link), time), clock, isWrite: true)
        guard let from, let to else { return }
        // SAFETY: `touch` has checked both ranges.
        unsafe memcpy(at(to), at(from), send.count * 8)
    }

    // MARK: actions

    private func perform(_ action: Action, _ rank: Int) {
        switch action {
        case .copy(let from, let to, let count): store([from], [to], count, rank)
        case .spread(let source, let start, let exception, let count):
            let targets = node(of: rank).filter { $0 != exception }
            store([source], targets.map { $0 == rank ? .output(start) : .peerOutput(start, rank: $0) }, count, rank)
        case .fold(let fold):
            let targets: [Location] =
                switch fold.target {
                case .location(let location): [location]
                case .node(let start): node(of: rank).map { $0 == rank ? .output(start) : .peerOutput(start, rank: $0) }
                }
            let (sources, start) = sources(fold.sources, rank)
            store(sources, targets, fold.count, rank, eagerStart: start, isFinal: fold.isFinal, partials: fold.partials)
        case .encode(let window, let to):
            eachStripe(window, rank) { stripe, done in
                store([.input(stripe.lowerBound)], [.encoded(to + done)], stripe.count, rank, through: Symbol.encoded)
            }
        case .decode(let window, let from):
            eachStripe(window, rank) { stripe, done in
                store([.encoded(from + done)], [.output(stripe.lowerBound)], stripe.count, rank)
            }
        case .addUp(let sum):
            eachStripe(sum.window, rank) { stripe, done in
                let parts = (0..<sum.parts).map { Location.encoded(sum.firstPart + $0 * sum.stride + done) }
                store(
                    [.input(stripe.lowerBound)] + parts, [.output(stripe.lowerBound)], stripe.count, rank, isFinal: sum.parts > 0)
                guard let result = sum.result else { return }
                store([.output(stripe.lowerBound)], [.encoded(result + done)], stripe.count, rank, through: Symbol.encoded)
                store([.encoded(result + done)], [.output(stripe.lowerBound)], stripe.count, rank)
            }
        }
    }

    /// Each stripe of a window, and where its bytes begin among the window's; an encoded element's symbol lies where its first bytes may.
    private func eachStripe(_ window: StripeWindow, _ rank: Int, _ body: (Range<Int>, Int) -> Void) {
        var done = 0
        for index in window.first..<window.first + window.stripes {
            let stripe = shapes[rank].stripes.stripe(index, of: window.owner)
            body(stripe, done)
            done += operation.wire.byteCount(of: stripe.count)
        }
        if done != window.byteCount || (window.count == 0) != (done == 0) { fault("rank \(rank): a window of \(done) bytes: \(window)") }
    }

    private func node(of rank: Int) -> [Int] {
        let node = topology.node(of: rank)
        return (0..<topology.size(ofNode: node)).map { topology.rank($0, ofNode: node) }
    }

    /// What a fold adds up, in order; and from which element on of eager slots.
    private func sources(_ sources: Fold.Sources, _ rank: Int) -> ([Location], Int) {
        switch sources {
        case .pair(let left, let right): return ([left, right], 0)
        case .node(let partial, let start, let first):
            let members = node(of: rank)
            let inputs = members.indices.map { members[(first + $0) % members.count] }
                .map { $0 == rank ? Location.input(start) : .peerInput(start, rank: $0) }
            return ((partial.map { [$0] } ?? []) + inputs, 0)
        case .eager(let first, let start, let inputStart):
            return ((0..<ranks).map { (first + $0) % ranks }.map { $0 == rank ? .input(inputStart) : .eager(rank: $0) }, start)
        case .eagerNodes(let first, let start):
            let nodes = topology.nodeCount
            let order = (0..<nodes).flatMap { turn in
                let node = (first + turn) % nodes
                return (0..<topology.size(ofNode: node)).map { topology.rank($0, ofNode: node) }
            }
            return (order.map { $0 == rank ? .input(start) : .eager(rank: $0) }, start)
        case .inputAndSlots(let start, let slots): return ([.input(start)] + slots.map { .gated(slot: $0) }, 0)
        case .slotsAndInput(let slots, let start): return (slots.map { .gated(slot: $0) } + [.input(start)], 0)
        }
    }

    private func store(
        _ sources: [Location], _ targets: [Location], _ count: Int, _ rank: Int, eagerStart: Int = 0, isFinal: Bool = false,
        partials: UInt64? = nil, through: (UInt64) -> UInt64 = { $0 }
    ) {
        guard count > 0 else { return }
        let event = (rank, clocks[rank][rank])
        let from = sources.map { touch($0, count, of: rank, by: event, clocks[rank], isWrite: false, eagerStart: eagerStart) }
        let to = targets.map { touch($0, count, of: rank, by: event, clocks[rank], isWrite: true) }
        guard !from.contains(where: { $0 == nil }), !to.contains(where: { $0 == nil }) else { return }
        // SAFETY: `touch` has checked all ranges.
        for (number, source) in from.enumerated() where partials != nil {
            let (isPartial, isGiven) = unsafe (number < 64 && partials! >> number & 1 == 1, givenSymbols.contains(at(source!)[0]))
            if isPartial == isGiven { fault("rank \(rank) takes \(sources[number]) for \(isPartial ? "a sum" : "a rank's own part")") }
        }
        let sums = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
        defer { unsafe sums.deallocate() }
        unsafe memcpy(sums, at(from[0]!), count * 8)
        for turn in 1..<max(1, from.count) {
            let source = unsafe at(from[turn]!)
            var index = 0
            while index < count {
                unsafe sums[index] = Symbol.sum(sums[index], source[index])
                index += 1
            }
        }
        if isFinal { for index in 0..<count { unsafe sums[index] = Symbol.finished(sums[index]) } }
        for index in 0..<count { unsafe sums[index] = through(sums[index]) }
        for target in to { unsafe memcpy(at(target!), sums, count * 8) }
    }

    private func at(_ place: (memory: Int, start: Int)) -> UnsafeMutablePointer<UInt64> {
        unsafe memory[place.memory].symbols.baseAddress! + place.start
    }

    // MARK: memory

    /// Where a location of `rank` lies, if something may touch it now.
    private func touch(
        _ location: Location, _ count: Int, of rank: Int, by event: (component: Int, time: Int32), _ clock: [Int32], isWrite: Bool,
        eagerStart: Int = 0
    ) -> (memory: Int, start: Int)? {
        let outputSpace: Space = operation.isInPlace ? .input : .output
        let (owner, space, start) =
            switch location {
            case .input(let start): (rank, Space.input, shapes[rank].extents.input(of: rank).lowerBound + start)
            case .output(let start): (rank, outputSpace, shapes[rank].extents.output(of: rank).lowerBound + start)
            case .gated(let slot): (rank, Space.gated, slot * shapes[rank].chunkElements)
            case .gatedElement(let element): (rank, Space.gated, element)
            case .eager(let other): (rank, Space.eager, other * shapes[rank].count + eagerStart)
            case .encoded(let byte): (rank, Space.encoded, byte)
            case .peerInput(let start, let peer): (peer, Space.input, shapes[peer].extents.input(of: peer).lowerBound + start)
            case .peerOutput(let start, let peer): (peer, outputSpace, shapes[peer].extents.output(of: peer).lowerBound + start)
            }
        let place = Self.spaces * owner + space.rawValue
        let range = start..<start + count
        guard start >= 0, unsafe range.upperBound <= memory[place].symbols.count else {
            fault("rank \(rank) touches \(location), \(count) elements: beyond its end")
            return nil
        }
        if case .gated = location, count > shapes[rank].chunkElements { fault("\(count) elements in a slot") }
        // Eager slots take what comes before the rank has begun; nothing else does.
        if space != .eager, clock[owner] == 0 { fault("\(location) of rank \(owner) is touched, which may not have begun") }
        if owner != rank, topology.node(of: owner) != topology.node(of: rank) { fault("rank \(rank) does not see \(location)") }
        check(memory[place].writes, range, clock) { "\(isWrite ? "write" : "read") of \(location) and an earlier write" }
        if isWrite {
            check(memory[place].reads, range, clock) { "write of \(location) and an earlier read" }
            // Whatever comes after this write comes after what came before it.
            func isCovered(_ access: Access) -> Bool {
                range.lowerBound <= access.range.lowerBound && access.range.upperBound <= range.upperBound
            }
            memory[place].writes.removeAll(where: isCovered)
            memory[place].reads.removeAll(where: isCovered)
            memory[place].writes.append(Access(range: range, component: event.component, time: event.time))
        } else {
            memory[place].reads.append(Access(range: range, component: event.component, time: event.time))
        }
        return (place, start)
    }

    private func check(_ earlier: [Access], _ range: Range<Int>, _ clock: [Int32], _ what: () -> String) {
        for access in earlier where access.range.lowerBound < range.upperBound && range.lowerBound < access.range.upperBound {
            if clock[access.component] < access.time { return fault("\(what()) of \(access.range) may come in either order") }
        }
    }

    // MARK: the end

    private func end() {
        for rank in 0..<ranks {
            drain(rank)
            for link in link(from: rank, to: 0, 0)..<link(from: rank + 1, to: 0, 0) {
                let peer = link / channels % ranks
                if links[link].consumed < links[link].messages.count { fault("rank \(peer) leaves messages of rank \(rank) unread") }
                // What `Link` relies on: ahead by one operation at most.
                if links[link].messages.count > 0, clocks[rank][peer] == 0 {
                    fault("rank \(rank) may end before rank \(peer), its peer, begins")
                }
            }
            for place in Self.spaces * rank..<Self.spaces * (rank + 1) {
                check(memory[place].writes + memory[place].reads, 0..<Int.max, clocks[rank]) { "the end of rank \(rank) and a use" }
            }
        }
    }

    /// Says where the memory is not what it should be.
    func compare(with oracle: Oracle) {
        // An allreduce's output is everyone's.
        let common = operation.collective == .allReduce ? oracle.output(of: 0) : nil
        for rank in 0..<ranks {
            let output = (common ?? oracle.output(of: rank)) ?? []
            for space in 0..<2 {
                let symbols = unsafe memory[Self.spaces * rank + space].symbols
                let wanted = UnsafeMutableBufferPointer<UInt64>.allocate(capacity: symbols.count)
                defer { unsafe wanted.deallocate() }
                unsafe fill(wanted, rank, space)
                if (space == 1) != operation.isInPlace {
                    let start = shapes[rank].extents.output(of: rank).lowerBound
                    for index in output.indices {
                        let isScratch = oracle.isScratch(index, of: rank)
                        unsafe wanted[start + index] = isScratch ? symbols[start + index] : output[index]
                    }
                }
                // SAFETY: both are of the same length, and nobody else's.
                guard symbols.count > 0, unsafe memcmp(symbols.baseAddress!, wanted.baseAddress!, symbols.count * 8) != 0 else {
                    continue
                }
                fault("rank \(rank): its \(space == 0 ? "input" : "output") is wrong")
            }
        }
    }
}
