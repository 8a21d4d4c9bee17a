import Verbena

/// Averages over all ranks what each has seen for itself: the running statistics of batch norm. Then every rank evaluates the same model.
final class AveragedStatistics {
    private let statistics: [Parameter]
    private let communicator: Communicator
    private let buffer: Buffer<Float>

    /// Nil where there is nothing to average. Collective.
    init?(_ statistics: [Parameter], _ communicator: Communicator) throws(VerbenaError) {
        let count = statistics.reduce(0) { $0 + $1.elementCount }
        guard count > 0, communicator.worldSize > 1 else { return nil }
        // Of its own, so that gradients may travel meanwhile.
        guard let own = try communicator.split(color: 0, key: communicator.rank) else { return nil }
        (self.statistics, self.communicator) = (statistics, own)
        buffer = try own.allocate(Float.self, count: count)
    }

    /// Collective.
    func average() throws(VerbenaError) {
        var start = 0
        for statistic in statistics {
            // SAFETY: the buffer and the statistics are held here.
            unsafe buffer.elements.baseAddress!.advanced(by: start).update(
                from: statistic.values.baseAddress!, count: statistic.elementCount)
            start += statistic.elementCount
        }
        try communicator.allReduce(buffer, .average)
        start = 0
        for statistic in statistics {
            // SAFETY: as above.
            unsafe statistic.values.baseAddress!.update(from: buffer.elements.baseAddress! + start, count: statistic.elementCount)
            start += statistic.elementCount
        }
    }
}
