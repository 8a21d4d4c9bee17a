/// Why training data could not be used.
public struct DataError: Error, Sendable, Equatable, Codable, CustomStringConvertible {
    /// Stable: tests and callers switch on it.
    public enum Cause: String, Sendable, Codable {
        /// The folder or a file is not there.
        case missing
        /// It is there and cannot be read.
        case unreadable
        /// The file ends before its header says.
        case truncated
        /// The file goes on after its header says.
        case trailingBytes
        /// Not a file of the expected format or kind.
        case wrongMagic
        /// Elements of another type.
        case wrongType
        /// A size beyond the bounds, or 0.
        case wrongSize
        /// Images and labels, or two parts, do not fit together.
        case mismatch
        /// A label that is no digit.
        case wrongLabel
        /// A text that is not UTF-8.
        case notText
        /// The gzip stream is damaged.
        case corruptGzip
        /// The folder has several data sets, and which one is meant is unclear.
        case ambiguous
    }

    public var cause: Cause
    public var path: String
    public var expected: String
    public var found: String
    /// What the reader can do about it.
    public var remedy: String

    public init(_ cause: Cause, path: String, expected: String, found: String, remedy: String) {
        self.cause = cause
        self.path = path
        self.expected = expected
        self.found = found
        self.remedy = remedy
    }

    /// One line.
    public var description: String { "\(path): expected \(expected), found \(found); \(remedy)" }
}
