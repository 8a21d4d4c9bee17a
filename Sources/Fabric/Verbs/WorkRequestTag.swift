/// What a work request was, kept in its identifier: a failed completion tells nothing else. Kind 8 bits, slot 24, ticket's low bits 32.
struct WorkRequestTag: Equatable {
    enum Kind: UInt8 {
        case write = 1
        case receive, goodbye
    }

    var kind: Kind
    var slot: Int
    var ticket: UInt32

    init(_ kind: Kind, slot: Int, ticket: UInt64 = 0) {
        self.kind = kind
        self.slot = slot
        self.ticket = UInt32(truncatingIfNeeded: ticket)
    }

    init?(_ identifier: UInt64) {
        guard let kind = Kind(rawValue: UInt8(truncatingIfNeeded: identifier >> 56)) else { return nil }
        self.kind = kind
        slot = Int(identifier >> 32 & 0xFF_FFFF)
        ticket = UInt32(truncatingIfNeeded: identifier)
    }

    var identifier: UInt64 { UInt64(kind.rawValue) << 56 | UInt64(slot) << 32 | UInt64(ticket) }

    /// The whole ticket, given one that is at most 2^32 - 1 older.
    func ticket(after earlier: UInt64) -> UInt64 { earlier + UInt64(ticket &- UInt32(truncatingIfNeeded: earlier)) }
}
