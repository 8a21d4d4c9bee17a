/// What a device can do at most.
public struct DeviceLimits: Sendable {
    public var queuePairs: Int
    public var workRequestsPerQueue: Int
    public var completionsPerQueue: Int
    public var ports: Int
}
