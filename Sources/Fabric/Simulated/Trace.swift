/// The last events of a world, for a report; its fingerprint is that of all events since the beginning.
struct Trace {
    enum Kind: UInt8 {
        case post, depart, inMemory, arrival, completion, run, fault, closed, failure
    }

    struct Record {
        var time: UInt64
        var ticket: UInt64
        var byteCount: Int
        var immediate: UInt32
        var rank: Int32
        var peer: Int32
        var channel: Int32
        var kind: Kind
    }

    private var records: [Record]
    private(set) var count = 0
    /// FNV-1a over every field of every event.
    private(set) var fingerprint: UInt64 = 0xcbf2_9ce4_8422_2325

    init(depth: Int) {
        let empty = Record(time: 0, ticket: 0, byteCount: 0, immediate: 0, rank: 0, peer: 0, channel: 0, kind: .run)
        records = Array(repeating: empty, count: depth)
    }

    var isOn: Bool { !records.isEmpty }

    mutating func add(_ record: Record) {
        records[count & (records.count - 1)] = record
        count += 1
        mix(record.time)
        mix(record.ticket)
        mix(UInt64(truncatingIfNeeded: record.byteCount) << 32 | UInt64(record.immediate))
        mix(
            UInt64(UInt32(bitPattern: record.rank)) << 40 | UInt64(UInt32(bitPattern: record.peer)) << 16
                | UInt64(UInt32(bitPattern: record.channel)) << 8 | UInt64(record.kind.rawValue))
    }

    private mutating func mix(_ value: UInt64) { fingerprint = (fingerprint ^ value) &* 0x100_0000_01b3 }

    /// One line an event, the oldest first, with what the ranks are called.
    func lines(names: [String]) -> [String] {
        (max(0, count - records.count)..<count).map {
            let record = records[$0 & (records.count - 1)]
            return Self.line(record, rank: names[Int(record.rank)], peer: names[Int(record.peer)])
        }
    }

    private static func line(_ record: Record, rank: String, peer: String) -> String {
        let start = "\(record.time) ns \(rank)"
        let immediate = "0x" + String(record.immediate, radix: 16)
        let write = "write \(record.ticket) to \(peer)/\(record.channel), \(record.byteCount) bytes, immediate \(immediate)"
        switch record.kind {
        case .post: return "\(start) posts \(write)"
        case .depart: return "\(start) has sent \(write)"
        case .inMemory: return "\(start) has placed \(write)"
        case .arrival: return "\(start) takes write \(record.ticket) of \(peer)/\(record.channel), immediate \(immediate)"
        case .completion: return "\(start) takes completion through \(record.ticket) to \(peer)/\(record.channel)"
        case .run: return "\(start) runs"
        case .fault: return "\(start) suffers fault \(record.ticket)"
        case .closed: return "\(start) takes the leave of \(peer)"
        case .failure: return "\(start) takes the failure of \(peer)"
        }
    }
}
