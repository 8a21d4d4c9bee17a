/// The 32 bits that travel with each piece: enough to check that sender and receiver mean the same.
///
///     31..28 epoch | 27..22 operation | 21..4 signature | 3..0 transfer
///
/// Order on a channel says which piece an arrival is; these fields say that it is so, and each is checked. Two different operations
/// pass for the same with a chance of 2^-18, anew for each operation.
struct Immediate: Equatable {
    static let epochBits: UInt32 = 4
    static let operationBits: UInt32 = 6
    static let signatureBits: UInt32 = 18
    static let transferBits: UInt32 = 4

    /// Life of the group of ranks; changes when it is formed anew.
    var epoch: UInt32
    /// Place of the operation in the order of issue.
    var operation: UInt32
    /// What the operation does to what, hashed: ranks that run different operations at the same place are told so.
    var signature: UInt32
    /// The sender's transfer number to this peer within the operation.
    var transfer: UInt32

    init(epoch: UInt32, operation: UInt64, signature: UInt32, transfer: Int) {
        self.epoch = epoch & Self.mask(Self.epochBits)
        self.operation = UInt32(truncatingIfNeeded: operation) & Self.mask(Self.operationBits)
        self.signature = signature & Self.mask(Self.signatureBits)
        self.transfer = UInt32(truncatingIfNeeded: transfer) & Self.mask(Self.transferBits)
    }

    init(rawValue: UInt32) {
        transfer = rawValue & Self.mask(Self.transferBits)
        signature = rawValue >> Self.transferBits & Self.mask(Self.signatureBits)
        operation = rawValue >> (Self.transferBits + Self.signatureBits) & Self.mask(Self.operationBits)
        epoch = rawValue >> (Self.transferBits + Self.signatureBits + Self.operationBits)
    }

    var rawValue: UInt32 {
        ((epoch << Self.operationBits | operation) << Self.signatureBits | signature) << Self.transferBits | transfer
    }

    private static func mask(_ bits: UInt32) -> UInt32 { 1 << bits - 1 }
}
