internal import Collectives
internal import Engine
internal import Gradients

/// What ranks tell each other of a step: when each asked for its buckets. So every rank knows by name for whom it has waited.
///
/// One small allGather a step, which a rank asks for just before the first operation of the plan's last bucket, in the same stream, where every rank has the
/// same order: as good as all that there is to tell is known then, and it has ended when that bucket has, as a rule. Used by one thread at a time.
struct PeerTimes {
    /// The last buckets of a step: for the others the trainer waits least.
    private static let maxBuckets = 64
    /// The clock's bound, and the times of buckets by the clock of rank 0.
    private static let rowCount = 1 + maxBuckets

    private let communicator: Communicator
    let clock: JobClock
    /// This rank's row, and from `rowCount` on those of all ranks.
    private let memory: Buffer<UInt64>
    /// The engine's number of the operation that is under way.
    private(set) var number: Int?
    /// Buckets of the step that the operation tells of, and the first of them that it has.
    private var bucketCount = 0
    private var firstBucket: Int { max(0, bucketCount - Self.maxBuckets) }

    /// Collective.
    init(_ communicator: Communicator) throws(VerbenaError) {
        self.communicator = communicator
        memory = try communicator.allocate(UInt64.self, count: Self.rowCount * (1 + communicator.worldSize))
        clock = try JobClock(communicator, memory)
    }

    /// Tells the others. Every rank does so at the same place of the order.
    /// - Parameter submitted: by bucket of the plan; 0 for those that this rank has not asked for yet.
    /// - Returns: false where there is no room; then nothing was begun. True also where all was told before, or there is nobody to tell.
    mutating func tell(_ submitted: [UInt64], in stream: Stream) throws(VerbenaError) -> Bool {
        guard communicator.worldSize > 1, number == nil else { return true }
        bucketCount = submitted.count
        let told = submitted[firstBucket...]
        memory.withMutableElements { row in
            row[0] = clock.bound
            for (index, time) in told.enumerated() { row[1 + index] = time == 0 ? 0 : clock.ofJob(time) }
        }
        let buffer = try communicator.attachment(of: memory.raw, for: .allGather).buffer
        number = try communicator.runner.submitWhereRoom(
            Operation(
                .allGather, input: Place(buffer), output: Place(buffer, byteOffset: Self.rowCount * MemoryLayout<UInt64>.stride),
                count: 1 + told.count, type: .uint64, stream: stream))
        return number != nil
    }

    /// Takes what the others have told, when the operation has ended, and gives its number back.
    mutating func hear(_ ledger: inout StepLedger) {
        guard let number else { return }
        self.number = nil
        communicator.engine.release(number)
        let count = bucketCount - firstBucket
        memory.withElements { rows in
            for bucket in 0..<count {
                var last: (rank: Int, time: UInt64) = (-1, 0)
                for rank in 0..<communicator.worldSize where rank != communicator.rank {
                    let row = Self.rowCount + rank * (1 + count)
                    // Late is only what is certain.
                    guard rows[row + 1 + bucket] > 0 else { continue }
                    let time = clock.own(rows[row + 1 + bucket])
                    let certain = time - min(time, clock.bound + rows[row])
                    if certain > last.time { last = (rank, certain) }
                }
                guard last.time > 0 else { continue }
                ledger.learn(bucket: firstBucket + bucket, of: communicator.group.jobRanks[last.rank], submitted: last.time)
            }
        }
    }
}
