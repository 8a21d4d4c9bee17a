/// Says to our own device which memory a work request means. Never travels.
public struct LocalKey: Hashable, Sendable {
    let rawValue: UInt32
}

/// Lets a peer's device write into our memory. Its own type: soft-RoCE gives both keys the same value, and would hide a mix-up.
public struct RemoteKey: Hashable, Sendable {
    /// As it travels to the peer.
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }
}
