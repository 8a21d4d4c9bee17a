/// Which slot waits for which of the executor's tickets.
///
/// Tickets under way are no run of numbers: a transfer whose peer is late stays while thousands of collectives pass. So a ticket takes the first
/// free entry from `ticket mod capacity` on, which as a rule is that one.
struct TicketTable {
    /// Twice what can be under way, the operation included that its caller runs itself.
    private static let capacity = 2 * (OperationSlots.count + 1)
    private static let free = UInt64.max

    private var entries = Array(repeating: (ticket: free, slot: 0), count: capacity)

    mutating func insert(_ ticket: UInt64, slot: Int) { entries[entry(holding: Self.free, from: ticket)] = (ticket, slot) }

    mutating func remove(_ ticket: UInt64) -> Int {
        let index = entry(holding: ticket, from: ticket)
        entries[index].ticket = Self.free
        return entries[index].slot
    }

    /// The slot of a ticket that is under way; nil where it has none.
    func slot(of ticket: UInt64) -> Int? { entries.first { $0.ticket == ticket }?.slot }

    private func entry(holding wanted: UInt64, from ticket: UInt64) -> Int {
        let start = Int(ticket % UInt64(Self.capacity))
        for step in 0..<Self.capacity {
            let index = (start + step) % Self.capacity
            if entries[index].ticket == wanted { return index }
        }
        fatalError("broken invariant: at most \(OperationSlots.count) operations have slots, and each ends once")
    }
}
