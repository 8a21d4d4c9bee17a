/// One breach of the house style: where, what, and what to do about it.
public struct Finding: Sendable, Equatable, CustomStringConvertible {
    /// Relative to the repository's root.
    public var path: String
    /// Counted from 1.
    public var line: Int
    public var problem: String
    public var remedy: String

    public init(path: String, line: Int, problem: String, remedy: String) {
        self.path = path
        self.line = line
        self.problem = problem
        self.remedy = remedy
    }

    /// `path:line: what is wrong; remedy`, which editors and CI logs can jump to.
    public var description: String { "\(path):\(line): \(problem); \(remedy)" }
}
