/// The sizes of a run, from the least to the most.
struct SizeSweep: Equatable {
    var least: Int
    var most: Int
    /// Added to a size for the next, unless `factor` multiplies it.
    var step: Int
    var factor: Int?
    /// Bytes of an element; sizes are rounded down to whole elements.
    var elementBytes: Int

    /// After 0, which no factor makes larger, comes one element.
    var elementCounts: [Int] {
        var counts: [Int] = []
        var size = least
        while size <= most {
            if counts.last != size / elementBytes { counts.append(size / elementBytes) }
            let (next, overflow) =
                factor.map { size == 0 ? (elementBytes, false) : size.multipliedReportingOverflow(by: $0) }
                ?? size.addingReportingOverflow(step)
            if overflow { break }
            size = next
        }
        return counts
    }
}
