/// Why a checkpoint could not be written or used. Nothing was changed by then: neither the file nor the model.
public struct CheckpointError: Error, Sendable, Equatable, Codable, CustomStringConvertible {
    /// Stable: tests and callers switch on it.
    public enum Cause: String, Sendable, Codable {
        /// There is no such file.
        case missing
        /// It is there and cannot be read, or is no file.
        case unreadable
        /// The file ends before its header says.
        case truncated
        /// The file goes on after its last tensor.
        case trailingBytes
        /// No safetensors file, or a damaged one.
        case wrongHeader
        /// A safetensors file that is no checkpoint of ours, or of a version that we do not know.
        case foreign
        /// A checkpoint of another model, optimizer, image size or alphabet.
        case mismatch
        /// It could not be written: a full disk, for one.
        case unwritable
        /// What was to be written is no number any more.
        case notFinite
    }

    public var cause: Cause
    public var path: String
    public var expected: String
    public var found: String
    /// What the reader can do about it.
    public var remedy: String

    public init(_ cause: Cause, path: String, expected: String, found: String, remedy: String) {
        (self.cause, self.path, self.expected, self.found, self.remedy) = (cause, path, expected, found, remedy)
    }

    /// One line.
    public var description: String { "\(path): expected \(expected), found \(found); \(remedy)" }
}
