internal import CVerbs

/// How a work request ended. Look at this first: with anything but success nothing else but the identifier means anything.
public struct CompletionStatus: Equatable, Sendable, CustomStringConvertible {
    let rawValue: UInt32

    public static var success: Self { Self(rawValue: IBV_WC_SUCCESS.rawValue) }
    /// The queue pair was in the error state: something else failed before.
    public static var flushed: Self { Self(rawValue: IBV_WC_WR_FLUSH_ERR.rawValue) }
    /// The peer's device did not answer within the retry bound.
    public static var retryExceeded: Self { Self(rawValue: IBV_WC_RETRY_EXC_ERR.rawValue) }
    /// The peer had no receive posted within the retry bound.
    public static var receiverNotReadyExceeded: Self { Self(rawValue: IBV_WC_RNR_RETRY_EXC_ERR.rawValue) }
    /// The peer's device refused key, address or length.
    public static var remoteAccess: Self { Self(rawValue: IBV_WC_REM_ACCESS_ERR.rawValue) }
    /// Our own device refused key, address or length.
    public static var localProtection: Self { Self(rawValue: IBV_WC_LOC_PROT_ERR.rawValue) }

    /// The library's own words.
    public var description: String {
        // SAFETY: a string constant of the library, copied here.
        unsafe String(cString: ibv_wc_status_str(ibv_wc_status(rawValue: rawValue)))
    }
}
