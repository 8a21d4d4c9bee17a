/// What ended the job: one value, the same on every rank that is left.
///
/// The coordinator keeps the first one that it hears of or decides itself, and tells it to all. Each text is cut at
/// `textByteLimit` bytes of UTF-8 and kept to one line, so that a verdict always fits a frame and a log line.
public struct Verdict: Codable, Sendable, Equatable, CustomStringConvertible {
    /// In place of a rank where the local launcher, which is none, is at fault.
    public static let launcher = -1
    static let textByteLimit = 400

    /// Who is at fault: a rank, or `Verdict.launcher`.
    public let rank: Int
    public let cause: FailureCause
    /// The facts, as they go on from "rank 2:", such as "its process ended without taking leave (killed or crashed)".
    public let detail: String
    /// What was under way, such as "allreduce of bucket 3".
    public let operation: String
    /// What the reader can do about it; empty where only the rank's own log can tell.
    public let remedy: String

    public init(rank: Int, cause: FailureCause, _ detail: String, during operation: String, remedy: String = "") {
        self.rank = rank
        self.cause = cause
        self.detail = oneLine(detail, byteLimit: Self.textByteLimit)
        self.operation = oneLine(operation, byteLimit: Self.textByteLimit)
        self.remedy = oneLine(remedy, byteLimit: Self.textByteLimit)
    }

    /// Built anew, so that its bounds hold whoever sent it.
    var bounded: Verdict { Verdict(rank: rank, cause: cause, detail, during: operation, remedy: remedy) }

    /// "rank 2", or "the launcher".
    public var culprit: String { rank == Self.launcher ? "the launcher" : "rank \(rank)" }

    /// Without the remedy.
    var facts: String { "\(culprit): \(detail)\(detail.contains(operation) ? "" : " (during \(operation))")" }

    /// One line: `rank 2: its process was killed (during allreduce); see the log of rank 2`.
    public var description: String { remedy.isEmpty ? facts : "\(facts); \(remedy)" }
}

/// `text` without line breaks and other control characters, cut to at most `byteLimit` bytes of UTF-8 at a scalar's end.
func oneLine(_ text: String, byteLimit: Int) -> String {
    var line = String.UnicodeScalarView()
    var byteCount = 0
    for scalar in text.unicodeScalars {
        byteCount += UTF8.width(scalar)
        guard byteCount <= byteLimit else { break }
        line.append(scalar.properties.generalCategory == .control ? " " : scalar)
    }
    return String(line)
}
