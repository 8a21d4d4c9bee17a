/// Consecutive stripes of one owner that travel in one message.
public struct StripeWindow: Equatable, Sendable {
    public var owner: Int
    /// Of the owner's stripes in the operation.
    public var first = 0
    public var stripes = 0
    /// Elements of all of them, and bytes when encoded, stripe by stripe.
    public var count = 0
    public var byteCount = 0

    public init(owner: Int, first: Int = 0) {
        self.owner = owner
        self.first = first
    }
}

/// An owner's work on one window: `output = input ∘ part 0 ∘ part 1 ∘ ...`, of which the parts are encoded; then the result is encoded, and the output
/// becomes what that decodes to.
///
/// Places are bytes from the beginning of the lane's gated slots.
public struct EncodedSum: Equatable, Sendable {
    public var window: StripeWindow
    /// Of the other ranks, in the order in which they are added up; 0: the input is the sum.
    public var parts: Int
    public var firstPart: Int
    /// From one part to the next.
    public var stride: Int
    /// Where the encoded result goes; nil: the result stays as it is.
    public var result: Int?
}
