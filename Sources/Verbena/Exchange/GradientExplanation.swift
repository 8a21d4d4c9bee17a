internal import FoundationEssentials
public import Gradients
public import Reduction

/// By which plan gradients travel, what the planner expects of it, and what was measured. The plan and what is expected are the same on every rank, what was
/// measured is this rank's own.
public struct GradientExplanation: Sendable, CustomStringConvertible {
    public struct Bucket: Sendable {
        public let byteCount: Int
        /// Those of which it holds a part.
        public let parameters: Range<Int>
        public let isUrgent: Bool
        /// From the beginning of backprop: when it should be ready, and when it should be the trainer's again; nil before the planner has looked.
        public let readySeconds: Double?
        public let returnedSeconds: Double?
    }

    public let schedule: GradientSettings.Schedule
    /// How fp32 elements travel.
    public let wire: WireFormat
    /// Why, where the user did not choose it.
    public let wireReason: String?
    /// Memory of this rank's that keeps what the wire format loses.
    public let residualByteCount: Int
    public let buckets: [Bucket]
    /// Nil until the planner has looked at the first steps.
    public let expectedExposedSeconds: Double?
    public let expectedStepSeconds: Double?
    /// Means of the steps since then; nil where there was none.
    public let measuredExposedSeconds: Double?
    public let measuredStepSeconds: Double?

    /// When gradients are made and wanted, as all ranks have agreed; nil until the planner has looked.
    public let arrival: ArrivalProfile?

    init(_ plan: BucketPlan, _ layout: GradientLayout, _ planning: GradientTraffic.Planning, residualByteCount: Int) {
        schedule = plan.schedule
        wire = plan.wire
        wireReason = planning.selection?.reason ?? planning.wireReason
        self.residualByteCount = residualByteCount
        arrival = planning.agreed
        let prediction = planning.prediction
        buckets = plan.buckets.enumerated().map { index, bucket in
            Bucket(
                byteCount: plan.byteCount(of: index, in: layout),
                parameters: bucket.parameters[bucket.parameters.count - 1]..<bucket.parameters[0] + 1, isUrgent: bucket.isUrgent,
                readySeconds: prediction?.ready[index], returnedSeconds: prediction?.returned[index])
        }
        (expectedExposedSeconds, expectedStepSeconds) = (prediction?.exposedSeconds, prediction?.stepSeconds)
        let steps = Double(planning.measured.steps)
        measuredExposedSeconds = steps > 0 ? planning.measured.exposed.total / steps : nil
        measuredStepSeconds = steps > 0 ? planning.measured.trainingSeconds / steps : nil
    }

    /// The format, the memory that it takes, and why it was chosen: in one line.
    public var wireText: String {
        "\(wire)" + (residualByteCount > 0 ? ", residuals of \(residualByteCount) bytes" : "") + (wireReason.map { ": \($0)" } ?? "")
    }

    /// Several lines: a heading, then one a bucket.
    public var description: String {
        func aligned(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
        func milliseconds(_ seconds: Double?) -> String {
            guard let seconds else { return "-" }
            let microseconds = Int((seconds * 1e6).rounded())
            return "\(microseconds / 1000).\(String(microseconds % 1000 + 1000).dropFirst())"
        }
        let urgent = buckets.count(where: \.isUrgent)
        let lines = buckets.enumerated().map { index, bucket in
            "\(aligned("\(index)", 6))  \(aligned("\(bucket.byteCount)", 9))  \(bucket.parameters.lowerBound)-\(bucket.parameters.upperBound - 1)"
                + (bucket.isUrgent ? "  urgent" : "")
                + "  ready \(milliseconds(bucket.readySeconds)), returned \(milliseconds(bucket.returnedSeconds))"
        }
        return """
            \(buckets.count) bucket\(buckets.count == 1 ? "" : "s")\(urgent > 0 ? ", \(urgent) urgent" : ""), schedule \(schedule.rawValue)
            wire      \(wireText)
            expected  step \(milliseconds(expectedStepSeconds)) ms, exposed \(milliseconds(expectedExposedSeconds)) ms
            measured  step \(milliseconds(measuredStepSeconds)) ms, exposed \(milliseconds(measuredExposedSeconds)) ms
            bucket      bytes  parameters, ms after the beginning of backprop
            \(lines.joined(separator: "\n"))
            """
    }
}
