/// Large buffers between many ranks, in 2 log2 N messages in a row where the ring takes 2(N-1): allreduce, and the halves of a striped one.
///
/// N, a power of two, ranks swap in pairs. *Halving*: in round k each swaps with the one whose number differs in bit k: it gives the half of its range
/// that is the other's, adds up what comes of its own, and goes on with that half. After log2 N rounds it has the sum of an N-th. *Doubling*: the
/// same pairs in reverse give each other all they have. A rank sends 2(N-1)/N of the buffer, as in a ring. The nearest ranks swap the most, so that little
/// crosses from switch to switch.
///
/// The *range* of level k is what a rank has after k rounds of halving: of an allreduce a part of the buffer in one piece, of the halves the stripes of
/// all owners whose numbers end in the same k bits.
///
/// *Pieces.* A range travels in pieces, so that what has come and was added up goes on while the next piece is under way: the links are as busy as in a ring.
/// The ranges of level L are *leaves*, each of q pieces. A range above is a sequence of leaves, one below a single piece. When halving, the leaves come first
/// that go on in the next round, of these first those that go on in the one after that, and so on. When doubling, what the sender has had for longest comes
/// first.
///
/// *Windows.* What is longer than receive buffers and queues take goes in windows, one after the other. In each a rank first invites all log2 N others, which
/// says that it has taken what they wrote in the one before, and writes to each only after that one's invitation.
///
/// *Overwriting.* What a write replaces is read by nobody any more:
/// 1. A slot is used once in a window.
/// 2. A partial sum lies in the output. What is sent of it goes out once, in the round in which its range is given away, and is not changed before the sum
///    comes back.
/// 3. A piece of the sum comes from the one that got this rank's part of it, after that has come. So the source of that write may be replaced: a duplicate of a
///    retransmission is dropped.
///
/// *Machines.* In a nested world nodes swap, those of each place a slice of the buffer, of stripes those of the owners at the place. The sum over a node is
/// made before it is sent or added to, and what has come is stored into all outputs of the node. Begin and end are as in `Ring`.
///
/// *Bits.* A balanced tree over ranks, or over nodes, the lower one first, whatever the element's place: so a buffer may be cut anywhere, and
/// between ranks `RecursiveDoubling` gives the same.
///
/// Source: Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH", IJHPCA 19 (2005), section 4.5.
public struct HalvingDoubling: Equatable, Sendable {
    /// Messages of a range, at most.
    private static let maxPieces = ExecutorSettings.maxUnread
    /// Messages that a rank may have unread from another: those of a range each way, or of a half twice as many one way, and the invitations to this
    /// window and to the next one, or to the next operation.
    static let maxUnread = 2 * maxPieces + 2

    let shape: Shape
    /// N: ranks or nodes.
    let stations: Int
    let position: Int
    let local: Int
    let localSize: Int
    let places: Int
    /// log2 N
    let rounds: Int
    public let windows: Int
    private let cut: Cut
    private let perWindow: Int

    init(_ shape: Shape) {
        self.shape = shape
        let topology = shape.topology
        let isNested = topology.isNested
        stations = topology.stations
        position = isNested ? topology.node(of: shape.rank) : shape.rank
        local = isNested ? topology.local(of: shape.rank) : 0
        localSize = isNested ? topology.size(ofNode: position) : 1
        places = isNested ? topology.places : 1
        rounds = stations.trailingZeroBitCount
        // The longest of any place, so that all cut alike.
        let longest = ((shape.collective.isHalf ? shape.stripes.total : shape.count) + places - 1) / places
        let room = shape.gatedSlots * shape.chunkElements
        // About as many as there must be.
        let isHalf = shape.collective.isHalf
        var windows = max(1, isHalf ? max(longest / (4 * Self.maxPieces), longest * shape.stripes.elements / room) : longest / room)
        var cut = Cut(shape, rounds: rounds, room: room, length: (longest + windows - 1) / windows)
        while !cut.isPossible(rounds: rounds, room: room, shape) {
            windows += 1
            cut = Cut(shape, rounds: rounds, room: room, length: (longest + windows - 1) / windows)
        }
        self.windows = windows
        self.cut = cut
        var steps = rounds
        if shape.collective != .gatherStripes {
            steps += 1 + cut.pieces(1) * (localSize > 1 ? 2 : 1)
            for round in 0..<rounds { steps += Self.stepsOfHalving(round, rounds, cut) }
        } else {
            steps += 1 + cut.pieces(rounds)
        }
        if shape.collective != .reduceStripes {
            for level in 1..<max(1, rounds) { steps += Self.stepsOfDoubling(level, cut, hears: shape.collective == .gatherStripes) }
            steps += cut.pieces(1)
        }
        perWindow = steps
    }

    public var count: Int { (isInvolved ? windows * perWindow : 0) + 4 * (localSize - 1) }

    public subscript(index: Int) -> Step {
        let gate = 2 * (localSize - 1)
        if index < gate { return shape.nodeStep(index) }
        let steps = isInvolved ? windows * perWindow : 0
        if index < gate + steps {
            let (window, inWindow) = (index - gate).quotientAndRemainder(dividingBy: perWindow)
            return step(inWindow, self.window(window))
        }
        var step = shape.nodeStep(index - gate - steps)
        step.isPatient = !isInvolved
        return step
    }

    private var isInvolved: Bool { local < places }
    private var reduces: Bool { shape.collective != .gatherStripes }
    private var gathers: Bool { shape.collective != .reduceStripes }

    private func other(_ round: Int) -> Int { position ^ 1 << round }
    private func peer(_ round: Int) -> Int {
        shape.topology.isNested ? shape.topology.rank(local, ofNode: other(round)) : other(round)
    }

    // MARK: what lies where

    /// Elements of this place that a window has; of the halves its stripes of the place, counted from the first.
    private func window(_ index: Int) -> Range<Int> {
        guard shape.collective.isHalf else {
            return part(index, of: windows, in: part(local, of: places, in: 0..<shape.count))
        }
        return part(index, of: windows, in: 0..<max(0, (shape.stripes.total - firstStripe + places - 1) / places))
    }

    /// Of the operation's stripes, the first of an owner at this place; its number among all stripes, from some owner's at place 0 on.
    private var firstStripe: Int { (local - firstOwner % places + places) % places }
    private var firstOwner: Int { shape.stripes.total > 0 ? shape.stripes.owner(of: 0) : 0 }

    /// Piece `index` of a station's range of a level.
    private func piece(_ index: Int, _ level: Int, of station: Int, _ window: Range<Int>, isHalving: Bool) -> Range<Int> {
        let leaf = index / cut.piecesOfLeaf
        var bits = station & (1 << level - 1)
        var depth = level
        while depth < cut.leafLevel {
            // The highest bit of the leaf's number chooses first.
            let isFirst = leaf >> (cut.leafLevel - 1 - depth) & 1 == 0
            let bit = station >> depth & 1
            bits |= (isFirst == isHalving ? 1 - bit : bit) << depth
            depth += 1
        }
        let inLeaf = level <= cut.leafLevel ? index % cut.piecesOfLeaf : 0
        if shape.collective.isHalf { return stripe(inLeaf, endingIn: bits, depth, window) }
        var range = window
        for round in 0..<depth {
            let border = range.lowerBound + cut.lowerHalf(range.count)
            range = bits >> round & 1 == 0 ? range.lowerBound..<border : border..<range.upperBound
        }
        return level <= cut.leafLevel ? part(inLeaf, of: cut.piecesOfLeaf, in: range) : range
    }

    /// Stripe `index` of the window of those whose owners' stations end in these bits.
    private func stripe(_ index: Int, endingIn bits: Int, _ depth: Int, _ window: Range<Int>) -> Range<Int> {
        let station = (firstOwner + firstStripe) / places + window.lowerBound
        let first = (bits - station) & (1 << depth - 1)
        let number = window.lowerBound + first + index << depth
        guard number < window.upperBound else { return 0..<0 }
        return shape.stripes[firstStripe + number * places]
    }

    /// Where a piece lands that is to be added.
    private func slot(_ index: Int, round: Int) -> Int {
        ((0..<round).reduce(0) { $0 + cut.pieces($1 + 1) } + index) * cut.pieceElements
    }

    // MARK: steps

    private func step(_ index: Int, _ window: Range<Int>) -> Step {
        var index = index
        func isIn(_ steps: Int) -> Bool {
            if index < steps { return true }
            index -= steps
            return false
        }
        if isIn(rounds) { return Step(send: .signal(peer(index))) }
        if reduces {
            if isIn(1) { return Step(receive: peer(0)) }
            if isIn(cut.pieces(1)) { return halvingSend(index, round: 0, window) }
            if localSize > 1, isIn(cut.pieces(1)) { return Step(action: nodeSum(piece(index, 1, of: position, window, isHalving: true))) }
            for round in 0..<rounds where isIn(Self.stepsOfHalving(round, rounds, cut)) { return halving(index, round, window) }
        } else {
            if isIn(1) { return Step(receive: peer(rounds - 1)) }
            if isIn(cut.pieces(rounds)) { return doublingSend(index, level: rounds, window, isOwn: true) }
        }
        for level in (1..<max(1, rounds)).reversed() where isIn(Self.stepsOfDoubling(level, cut, hears: !reduces)) {
            return doubling(index, level, window)
        }
        return doublingReceive(index, round: 0, window)
    }

    /// The invitation of the next one, then for each piece what comes and what goes on.
    private static func stepsOfHalving(_ round: Int, _ rounds: Int, _ cut: Cut) -> Int {
        (round + 1 < rounds ? 1 : 0) + 2 * cut.pieces(round + 1)
    }

    private func halving(_ index: Int, _ round: Int, _ window: Range<Int>) -> Step {
        let isLast = round + 1 == rounds
        if !isLast, index == 0 { return Step(receive: peer(round + 1)) }
        let (number, part) = (index - (isLast ? 0 : 1)).quotientAndRemainder(dividingBy: 2)
        let level = round + 1
        if part == 0 { return halvingReceive(number, round, window) }
        if isLast { return gathers ? doublingSend(number, level: level, window) : Step() }
        if level < cut.leafLevel { return number < cut.pieces(level + 1) ? halvingSend(number, round: level, window) : Step() }
        return number + 1 == cut.pieces(level) ? halvingSend(0, round: level, window) : Step()
    }

    /// Of a range without elements one message travels: nobody is ahead of a peer by more than one operation.
    private func travels(_ index: Int, _ range: Range<Int>) -> Bool { index == 0 || !range.isEmpty }

    private func halvingSend(_ index: Int, round: Int, _ window: Range<Int>) -> Step {
        let range = piece(index, round + 1, of: other(round), window, isHalving: true)
        guard travels(index, range) else { return Step() }
        let isOwn = round == 0 && localSize == 1
        return Step(
            action: round == 0 && localSize > 1 ? nodeSum(range) : nil,
            send: Send(
                peer: peer(round), from: isOwn ? .input(range.lowerBound) : .output(range.lowerBound),
                to: .gatedElement(slot(index, round: round)), count: range.count), channel: index % shape.channels)
    }

    private func nodeSum(_ range: Range<Int>) -> Action? {
        if range.isEmpty { return nil }
        return .fold(
            Fold(
                .node(partial: nil, start: range.lowerBound, first: 0), into: .location(.output(range.lowerBound)), count: range.count,
                isFinal: false))
    }

    private func halvingReceive(_ index: Int, _ round: Int, _ window: Range<Int>) -> Step {
        let range = piece(index, round + 1, of: position, window, isHalving: true)
        guard travels(index, range) else { return Step() }
        let own: Location = round == 0 && localSize == 1 ? .input(range.lowerBound) : .output(range.lowerBound)
        let come = Location.gatedElement(slot(index, round: round))
        let isLower = position >> round & 1 == 0
        let isFinal = round + 1 == rounds
        // A rank of a flat world begins with what it has; all nodes of a nested one have several.
        let isOthersRaw = round == 0 && !shape.topology.isNested
        let (ownBit, comeBit): (UInt64, UInt64) = isLower ? (1, 2) : (2, 1)
        let fold = Fold(
            .pair(isLower ? own : come, isLower ? come : own),
            into: isFinal && gathers && localSize > 1 ? .node(start: range.lowerBound) : .location(.output(range.lowerBound)),
            count: range.count, isFinal: isFinal,
            partials: (round == 0 && localSize == 1 ? 0 : ownBit) | (isOthersRaw ? 0 : comeBit))
        return Step(receive: peer(round), action: range.isEmpty ? nil : .fold(fold), channel: index % shape.channels)
    }

    /// Where there is a leaf or more on both sides, what this rank has had goes out, then each piece as it comes; else what has come, then all in one.
    /// - Parameter hears: whether the next one's invitation is still to come.
    private static func stepsOfDoubling(_ level: Int, _ cut: Cut, hears: Bool) -> Int {
        let pieces = cut.pieces(level + 1)
        return (hears ? 1 : 0) + (level < cut.leafLevel ? 3 * pieces : pieces + cut.pieces(level))
    }

    /// The range of a level goes out, in round `level` - 1; what comes in the round before becomes a part of it.
    private func doubling(_ index: Int, _ level: Int, _ window: Range<Int>) -> Step {
        var index = index
        if !reduces {
            if index == 0 { return Step(receive: peer(level - 1)) }
            index -= 1
        }
        let pieces = cut.pieces(level + 1)
        guard level < cut.leafLevel else {
            return index < pieces ? doublingReceive(index, round: level, window) : doublingSend(index - pieces, level: level, window)
        }
        if index < pieces { return doublingSend(index, level: level, window) }
        let (number, part) = (index - pieces).quotientAndRemainder(dividingBy: 2)
        return part == 0 ? doublingReceive(number, round: level, window) : doublingSend(pieces + number, level: level, window)
    }

    private func doublingSend(_ index: Int, level: Int, _ window: Range<Int>, isOwn: Bool = false) -> Step {
        let range = piece(index, level, of: position, window, isHalving: false)
        guard travels(index, range) else { return Step() }
        return Step(
            action: isOwn ? spread(range) : nil,
            send: Send(peer: peer(level - 1), from: .output(range.lowerBound), to: .output(range.lowerBound), count: range.count),
            channel: index % shape.channels)
    }

    private func doublingReceive(_ index: Int, round: Int, _ window: Range<Int>) -> Step {
        let range = piece(index, round + 1, of: other(round), window, isHalving: false)
        guard travels(index, range) else { return Step() }
        return Step(receive: peer(round), action: spread(range), channel: index % shape.channels)
    }

    /// What has come, for the other ranks of the node.
    private func spread(_ range: Range<Int>) -> Action? {
        if localSize == 1 || range.isEmpty { return nil }
        return .spread(from: .output(range.lowerBound), start: range.lowerBound, except: shape.rank, count: range.count)
    }
}

extension HalvingDoubling {
    /// How a window's ranges are cut into pieces.
    struct Cut: Equatable, Sendable {
        /// L and q.
        let leafLevel: Int
        let piecesOfLeaf: Int
        /// No piece has more.
        let pieceElements: Int
        /// Halves of an allreduce begin at multiples of this.
        private let alignment: Int

        /// - Parameters:
        ///   - room: elements of a lane's gated slots.
        ///   - length: of a window, in elements, of the halves in stripes.
        init(_ shape: Shape, rounds: Int, room: Int, length: Int) {
            guard !shape.collective.isHalf else {
                // As many leaves as there are stripes, or half of that; below, none has two.
                var level = 0
                while level < rounds, length > 2 << level { level += 1 }
                (leafLevel, alignment) = (level, 1)
                piecesOfLeaf = max(1, (length + 1 << level - 1) >> level)
                pieceElements = shape.stripes.elements
                return
            }
            // A cache line of fp32, where a window has many.
            alignment = room >= 1024 * rounds ? 16 : 1
            let least = min(shape.minChunkElements, max(1, room / 64))
            var (level, leaf) = (0, length)
            while level < rounds, 1 << level < HalvingDoubling.maxPieces, Self.lowerHalf(leaf, alignment) >= least {
                leaf = Self.lowerHalf(leaf, alignment)
                level += 1
            }
            leafLevel = level
            piecesOfLeaf = level == 0 ? 1 : max(1, min((leaf + least - 1) / least, 2 * HalvingDoubling.maxPieces >> level))
            // Below the leaves, and where nothing is cut, the largest is half of one.
            let below = level < rounds ? Self.lowerHalf(leaf, alignment) : 0
            pieceElements = max(1, below, level == 0 ? 0 : (leaf + piecesOfLeaf - 1) / piecesOfLeaf)
        }

        /// Pieces of a range of a level from 1 on.
        func pieces(_ level: Int) -> Int { level <= leafLevel ? piecesOfLeaf << (leafLevel - level) : 1 }

        /// Elements of the lower half of a range.
        func lowerHalf(_ count: Int) -> Int { Self.lowerHalf(count, alignment) }

        private static func lowerHalf(_ count: Int, _ alignment: Int) -> Int {
            min(count, ((count + 1) / 2 + alignment - 1) / alignment * alignment)
        }

        /// Whether a window fits receive buffers, queues and messages.
        func isPossible(rounds: Int, room: Int, _ shape: Shape) -> Bool {
            let most = HalvingDoubling.maxPieces * (shape.collective.isHalf ? 2 : 1)
            let slots = (1..<rounds + 1).reduce(0) { $0 + pieces($1) }
            return pieces(1) <= most && pieceElements <= shape.messageElements
                && (shape.collective == .gatherStripes || slots * pieceElements <= room)
        }
    }
}

extension ExecutorSettings {
    /// Windows in which halving and doubling carry an operation out.
    package func windows(of operation: Operation) -> Int {
        HalvingDoubling(shape(of: operation, rank: 0, layout: receiveBuffers)).windows
    }
}
