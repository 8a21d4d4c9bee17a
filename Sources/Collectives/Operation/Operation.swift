public import Reduction

/// One collective, or one end of a transfer between two ranks, on shared buffers.
///
/// In place, where input and output are the same place: that is where the larger of the two begins; a rank's own part of it is block
/// `rank` (allGather and gather read it, reduceScatter and scatter leave the result in it). Out of place, the two must not overlap.
public struct Operation: Sendable, Equatable {
    public var collective: Collective
    public var input: Place
    public var output: Place
    /// In elements; see `Collective`. Of the largest block, where they differ.
    public var count: Int
    @usableFromInline let uneven: UnownedCounts
    public var type: ElementType
    public var reduction: ReductionOperation
    /// How the `float` elements of a striped operation travel. Other than plain, its stripes are whole blocks (`WireFormat.blockElements`).
    public var wire = WireFormat.plain
    /// A buffer of the job's that keeps what the wire format loses and adds it the next time, at the same offset as the input: of the own stripes what the
    /// encoded result has lost, of all others what the own part has. Nil: it is lost. Who submits owns it, has cleared it before the first time, and
    /// leaves it alone until the operation has ended; like the operation's places it is the same on every rank. Only sums and averages have one.
    public var residual: SharedBuffer?
    /// Nil: the one that the cost model chooses, the same on every rank.
    public var algorithm: Algorithm?
    public var stream: Stream
    /// Whether peers see neither input nor output: then these may lie elsewhere on every rank, and only algorithms that go by receive buffers carry the
    /// operation out.
    public var isPrivate = false
    /// Elements of a stripe; 0: parts are cut by the operation's own count. The ranks that own stripes take them in turn, counted from the beginning
    /// of the buffer, so that any cut of a buffer into striped operations gives the same bits. See `Stripes`.
    public var stripe: Int

    /// - Parameters:
    ///   - count: taken from `counts`, where there are such.
    ///   - counts: of an allGather, a reduceScatter or an allToAll whose blocks differ in size; kept alive by the caller until the operation is
    ///     reported finished.
    ///   - stripe: of an allReduce in place, and always of a reduceStripes and a gatherStripes; no longer than `ExecutorSettings.stripeBytes`.
    @inlinable
    public init(
        _ collective: Collective, input: Place, output: Place? = nil, count: Int = 0, counts: BlockCounts? = nil, type: ElementType,
        reduction: ReductionOperation = .sum, algorithm: Algorithm? = nil, stream: Stream = .bulk, stripe: Int = 0
    ) {
        self.collective = collective
        self.input = input
        self.output = output ?? input
        self.count = counts?.largest ?? count
        uneven = UnownedCounts(counts)
        self.type = type
        self.reduction = reduction
        self.algorithm = algorithm
        self.stream = stream
        self.stripe = stripe
    }

    public var isInPlace: Bool { input == output }

    /// Whether there is an algorithm for it that goes by receive buffers alone, whatever its size.
    public var canBePrivate: Bool {
        guard algorithm == nil || algorithm == .tiled, wire == .plain, stripe == 0 else { return false }
        switch collective {
        case .allReduce, .reduceScatter, .allGather: return true
        case .allToAll: return uneven.isNone
        default: return false
        }
    }

    func touches(_ buffer: SharedBuffer) -> Bool { input.buffer == buffer || output.buffer == buffer || residual == buffer }

    /// Whether all bits are the same: what `==` says, at a quarter of its cost.
    @inline(__always)
    func isSame(as other: Operation) -> Bool {
        // SAFETY: a case's associated value and its tag take 9 bytes, all of them used; were they others, this would trap.
        let (mine, others) = unsafe (
            unsafeBitCast(collective, to: (UInt64, UInt8).self), unsafeBitCast(other.collective, to: (UInt64, UInt8).self)
        )
        return mine == others && count == other.count && uneven == other.uneven && input == other.input && output == other.output
            && type == other.type
            && reduction == other.reduction && wire == other.wire && residual == other.residual && algorithm == other.algorithm
            && stream == other.stream && isPrivate == other.isPrivate
            && stripe == other.stripe
    }

    /// All that ranks must agree on, but the place in the order, as a hash (FNV-1a).
    func hash(algorithm: Algorithm) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func mix(_ value: Int) {
            hash = (hash ^ UInt64(truncatingIfNeeded: value)) &* 0x100_0000_01b3
            hash ^= hash >> 29
        }
        mix(Int(wire.rawValue) << 16 | Int(type.rawValue) << 8 | Int(reduction.rawValue))
        if let counts = uneven.counts {
            mix(-1)
            // Of an allToAll each rank has its own, which each two compare (`Pairwise`).
            if collective != .allToAll { for start in counts.input { mix(start) } }
        } else {
            mix(count)
        }
        // Between two ranks, each end has a place of its own.
        if collective.peer != nil { return hash }
        mix(Int(stream.rawValue) << 40 | collective.code << 8 | Int(algorithm.code))
        if isPrivate {
            mix(-2)
        } else {
            mix(input.buffer.index << 32 | output.buffer.index)
            mix(input.byteOffset)
            mix(output.byteOffset)
        }
        mix(stripe)
        mix(residual?.index ?? 0)
        return hash
    }

    /// For messages: `allreduce #12 (sum of 1024 float)`, `urgent allreduce #3 (sum of 1024 float)`.
    func name(sequence: UInt64) -> String {
        let count = uneven.isNone ? "\(count)" : "up to \(count)"
        let stripes = stripe > 0 ? " in stripes of \(stripe)" : ""
        let collective = collective.peer == nil && stream == .urgent ? "urgent \(collective)" : "\(collective)"
        return switch self.collective {
        case .barrier: "\(collective) #\(sequence)"
        case .allReduce, .reduceScatter, .reduceStripes: "\(collective) #\(sequence) (\(reduction) of \(count) \(type)\(stripes))"
        case .reduce(let root): "\(collective) #\(sequence) (\(reduction) of \(count) \(type) to rank \(root))"
        case .broadcast(let root), .gather(let root), .scatter(let root): "\(collective) #\(sequence) (\(count) \(type), root \(root))"
        case .send(let peer): "send #\(sequence) of \(count) \(type) to rank \(peer)"
        case .receive(let peer): "receive #\(sequence) of \(count) \(type) from rank \(peer)"
        case .allGather, .allToAll, .gatherStripes: "\(collective) #\(sequence) (\(count) \(type)\(stripes))"
        }
    }
}
