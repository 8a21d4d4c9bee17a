/// One peer's ordered connection: rank and index in `0 ..< channelsPerPeer`.
public struct Channel: Hashable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var peer: Int
    public var index: Int

    public init(peer: Int, index: Int = 0) {
        self.peer = peer
        self.index = index
    }

    public var description: String { "rank \(peer)/\(index)" }
}
