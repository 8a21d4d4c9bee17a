internal import FoundationEssentials
import Verbena

/// What rank 0 has, for every rank: a word of it, then its elements through engine memory, in pieces.
enum RootBytes {
    /// Of the memory that peers see, and so of a message.
    private static let pieceByteCount = 4 << 20

    /// What rank 0 has of it, before anything is sent.
    private enum Announcement<Header: Codable, Fault: Error & Codable>: Codable {
        case header(Header)
        case fault(Fault)
    }

    /// Collective. Every rank gets the bytes, or throws what `read` threw.
    /// - Parameter read: called on rank 0 alone.
    static func share<Fault: Error & Codable>(
        _ communicator: Communicator, label: String, read: () throws(Fault) -> [UInt8]
    ) throws(VerbenaError) -> Result<[UInt8], Fault> {
        let (own, count) = try announce(communicator, label: label, read: read) { $0.count }
        switch count {
        case .success(let count): return .success(try broadcast(own ?? [], count: count, communicator))
        case .failure(let fault): return .failure(fault)
        }
    }

    /// Collective. Every rank gets what there is to say of the value that rank 0 has read, or what `read` threw.
    /// - Parameters:
    ///   - read: called on rank 0 alone.
    ///   - header: of the value; at most some megabytes as JSON.
    /// - Returns: `own`, the value, on rank 0 alone.
    static func announce<Value, Header: Codable, Fault: Error & Codable>(
        _ communicator: Communicator, label: String, read: () throws(Fault) -> Value, header: (Value) -> Header
    ) throws(VerbenaError) -> (own: Value?, header: Result<Header, Fault>) {
        var own: Value?
        var words: [UInt8] = []
        if communicator.rank == 0 {
            let announcement: Announcement<Header, Fault>
            do throws(Fault) {
                let value = try read()
                (own, announcement) = (value, .header(header(value)))
            } catch { announcement = .fault(error) }
            words = [UInt8]((try? JSONEncoder().encode(announcement)) ?? Data())
        }
        let said = try communicator.allGather(words, label: label)[0]
        switch try? JSONDecoder().decode(Announcement<Header, Fault>.self, from: Data(said)) {
        case .header(let header): return (own, .success(header))
        case .fault(let fault): return (own, .failure(fault))
        case nil: throw VerbenaError(.disagreed, "rank 0 announces nothing for \"\(label)\"; start every rank with the same program")
        }
    }

    /// Collective. Every rank gets the elements that rank 0 gives; beside them it holds one piece of some megabytes.
    /// - Parameters:
    ///   - own: on rank 0 `count` elements, which are also the answer; looked at nowhere else.
    ///   - count: the same on every rank.
    static func broadcast<E: Element>(_ own: [E], count: Int, _ communicator: Communicator) throws(VerbenaError) -> [E] {
        guard count > 0, communicator.worldSize > 1 else { return own }
        let isRoot = communicator.rank == 0
        var received: [E] = []
        if !isRoot { received.reserveCapacity(count) }
        let pieceCount = min(count, pieceByteCount / E.elementType.byteCount)
        let buffer = try communicator.allocate(E.self, count: pieceCount)
        for start in stride(from: 0, to: count, by: pieceCount) {
            let length = min(pieceCount, count - start)
            // SAFETY: the buffer is held here, and no collective of it is under way.
            let piece = unsafe UnsafeMutableBufferPointer(rebasing: buffer.elements[..<length])
            if isRoot { _ = unsafe piece.update(fromContentsOf: own[start..<start + length]) }
            try communicator.broadcast(buffer, count: length, root: 0)
            if !isRoot { unsafe received.append(contentsOf: piece) }
        }
        try buffer.release()
        return isRoot ? own : received
    }
}
