/// Puts intervals that overlap beside each other.
enum Lanes {
    /// - Returns: for each interval its lane, from 0 on: the lowest one that is free when it begins. Intervals of one lane do not overlap.
    static func pack(_ intervals: [(start: Int, end: Int)]) -> [Int] {
        var lanes = Array(repeating: 0, count: intervals.count)
        var ends: [Int] = []
        for index in intervals.indices.sorted(by: { (intervals[$0].start, $0) < (intervals[$1].start, $1) }) {
            let lane = ends.firstIndex { $0 <= intervals[index].start } ?? ends.count
            if lane == ends.count { ends.append(0) }
            ends[lane] = max(intervals[index].start, intervals[index].end)
            lanes[index] = lane
        }
        return lanes
    }
}
