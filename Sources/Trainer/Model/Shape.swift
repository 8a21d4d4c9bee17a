/// What one sample is at some place of a model: positions (pixels row by row, or tokens) of channels each.
///
/// A batch of it is a matrix of samples * positions rows and `channels` columns: images lie as NHWC, sequences as N, T, C.
public struct Shape: Sendable, Equatable, CustomStringConvertible {
    public var height: Int
    public var width: Int
    public var channels: Int

    public init(height: Int = 1, width: Int = 1, channels: Int) {
        (self.height, self.width, self.channels) = (height, width, channels)
    }

    /// What `description` gives, of sizes that a data set may have.
    init?(_ description: String) {
        let words = description.split(separator: "x", omittingEmptySubsequences: false)
        let sizes = words.compactMap { Int($0) }
        guard words.count == 3, sizes.count == 3, sizes.allSatisfy({ (1...Self.maximumSize).contains($0) }) else { return nil }
        self.init(height: sizes[0], width: sizes[1], channels: sizes[2])
    }

    private static let maximumSize = 1024

    public var positions: Int { height * width }
    public var elementCount: Int { positions * channels }
    /// The same elements as one position.
    public var flat: Shape { Shape(channels: elementCount) }
    public var description: String { "\(height)x\(width)x\(channels)" }
}
