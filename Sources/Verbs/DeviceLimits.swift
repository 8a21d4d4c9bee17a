import Glibc

/// What a device can do at most.
public struct DeviceLimits: Sendable {
    public var nodeGUID: UInt64
    public var queuePairs: Int
    public var workRequestsPerQueue: Int
    public var completionsPerQueue: Int
    public var memoryRegions: Int
    public var regionByteCount: UInt64
    public var ports: Int
}
