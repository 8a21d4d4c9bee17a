/// The bounds of everything that the device or rdma_cm repeats on our behalf.
public enum RetryBounds {
    /// Resends after the first. 7 would be allowed, and means forever on soft-RoCE: a dead machine would never be noticed.
    public static let retryCount: UInt8 = 6
    /// Resends to a receiver that has no receive posted; 7 means forever everywhere.
    public static let receiverNotReadyRetryCount: UInt8 = 6
    /// The wait for an acknowledgement is 4.096 us x 2^17 = 537 ms (InfiniBand Architecture Specification, 9.7.6.1.3).
    public static let acknowledgementTimeoutExponent: UInt8 = 17
    /// rdma_cm leaves the receiver-not-ready timer at code 0.
    public static let receiverNotReadyTimerMilliseconds: UInt64 = 655

    /// How long a peer can be silent before its writes fail: 537 ms x (6 + 1) = 3.76 s, and up to four times that on devices that
    /// use the standard's freedom.
    public static var unreachableMilliseconds: UInt64 {
        (4096 << UInt64(acknowledgementTimeoutExponent)) * (UInt64(retryCount) + 1) / 1_000_000
    }

    /// How long a peer can be without receives: 655 ms x 6 = 3.93 s.
    public static var receiverNotReadyMilliseconds: UInt64 {
        receiverNotReadyTimerMilliseconds * UInt64(receiverNotReadyRetryCount)
    }
}
