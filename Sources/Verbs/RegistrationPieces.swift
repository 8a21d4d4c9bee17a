/// How memory is registered that a device does not take as a whole: soft-RoCE takes 1 GiB at most, whatever it says in `max_mr_size`.
///
/// Pieces begin every 2^`strideExponent` bytes and overlap: each is `overlapByteCount` longer than the stride. So a request of up to that
/// length lies in one piece wholly, the one in which it begins, and none is ever cut. What two pieces share counts twice against the limit
/// of locked memory.
public struct RegistrationPieces: Sendable, Equatable {
    /// Of memory that was registered as a whole: everything begins in piece 0.
    public static let wholeExponent = 62

    public var strideExponent: Int
    public var overlapByteCount: Int
    /// Memory that is longer is not offered to the device as a whole; nil asks the device.
    public var wholeByteLimit: Int?

    /// Pieces of 768 MiB: less than soft-RoCE takes, and half as much again is pinned as there is memory.
    public init(strideExponent: Int = 29, overlapByteCount: Int = 256 << 20, wholeByteLimit: Int? = nil) {
        self.strideExponent = strideExponent
        self.overlapByteCount = overlapByteCount
        self.wholeByteLimit = wholeByteLimit
    }

    var pieceByteCount: Int { 1 << strideExponent + overlapByteCount }

    /// One more than begin in the memory where its end is the beginning of one: a request of no bytes may be there.
    public static func count(byteCount: Int, strideExponent: Int) -> Int { byteCount >> strideExponent + 1 }
}
