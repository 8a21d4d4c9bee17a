/// The 32 bits that travel with each message: enough to check that sender and receiver mean the same.
///
///     31..30 epoch | 29..28 kind | 27..16 operation | 15..0 signature, or number of the message
///
/// Order on a channel says which message an arrival is; these fields say that it is so, and each is checked. The first message between two
/// ranks in an operation carries what the operation is, hashed: two different ones pass for the same with a chance of 2^-16, anew
/// for each operation. Later ones carry their number.
struct Immediate: Equatable {
    enum Kind: UInt32 {
        /// Of a bulk collective.
        case collective = 0
        /// Of a transfer between two ranks, to its receiver.
        case toReceiver = 1
        /// The same, to its sender.
        case toSender = 2
        /// Of an urgent collective.
        case urgent = 3
    }

    static let operations: UInt64 = 1 << 12

    /// Life of the group of ranks; changes when it is formed anew.
    var epoch: UInt32
    var kind: Kind
    /// Place of the operation in its order: of collectives that of their stream.
    var operation: UInt32
    var payload: UInt32

    init(epoch: UInt32, kind: Kind, operation: UInt64, payload: UInt32) {
        self.epoch = epoch & 3
        self.kind = kind
        self.operation = UInt32(operation % Self.operations)
        self.payload = payload & 0xFFFF
    }

    @inline(__always)
    init(rawValue: UInt32) {
        epoch = rawValue >> 30
        kind =
            switch rawValue >> 28 & 3 {
            case 0: .collective
            case 1: .toReceiver
            case 2: .toSender
            default: .urgent
            }
        operation = rawValue >> 16 & 0xFFF
        payload = rawValue & 0xFFFF
    }

    var rawValue: UInt32 { (epoch << 2 | kind.rawValue) << 28 | operation << 16 | payload }
}
