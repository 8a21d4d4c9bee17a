internal import FoundationEssentials
import Verbena

/// Bytes that rank 0 has, for every rank: through engine memory, in pieces.
enum RootBytes {
    /// Of the memory that peers see, and so of a message.
    private static let pieceByteCount = 4 << 20

    /// What rank 0 has of it, before anything is sent.
    private enum Announcement<Fault: Error & Codable>: Codable {
        case bytes(Int)
        case fault(Fault)
    }

    /// Collective. Every rank gets the bytes, or throws what `read` threw.
    /// - Parameter read: called on rank 0 alone.
    static func share<Fault: Error & Codable>(
        _ communicator: Communicator, label: String, read: () throws(Fault) -> [UInt8]
    ) throws(VerbenaError) -> Result<[UInt8], Fault> {
        var result = Result<[UInt8], Fault>.success([])
        if communicator.rank == 0 {
            do throws(Fault) { result = .success(try read()) } catch { result = .failure(error) }
        }
        guard communicator.worldSize > 1 else { return result }
        let announcement: Announcement<Fault> =
            switch result {
            case .success(let bytes): .bytes(bytes.count)
            case .failure(let fault): .fault(fault)
            }
        let own = communicator.rank == 0 ? (try? JSONEncoder().encode(announcement)) ?? Data() : Data()
        let words = try communicator.allGather([UInt8](own), label: label)
        switch try? JSONDecoder().decode(Announcement<Fault>.self, from: Data(words[0])) {
        case .bytes(let count): return .success(try broadcast((try? result.get()) ?? [], count, communicator))
        case .fault(let fault): return .failure(fault)
        case nil: throw VerbenaError(.disagreed, "rank 0 announces no bytes for \"\(label)\"; start every rank with the same program")
        }
    }

    private static func broadcast(_ own: [UInt8], _ count: Int, _ communicator: Communicator) throws(VerbenaError) -> [UInt8] {
        guard count > 0 else { return [] }
        var bytes = own
        bytes.reserveCapacity(count)
        let buffer = try communicator.allocate(UInt8.self, count: min(count, pieceByteCount))
        for start in stride(from: 0, to: count, by: pieceByteCount) {
            let length = min(pieceByteCount, count - start)
            // SAFETY: the buffer is held here, and no collective of it is under way.
            let piece = unsafe UnsafeMutableBufferPointer(rebasing: buffer.elements[..<length])
            if communicator.rank == 0 { _ = unsafe piece.update(fromContentsOf: own[start..<start + length]) }
            try communicator.broadcast(buffer, count: length, root: 0)
            if communicator.rank != 0 { unsafe bytes.append(contentsOf: piece) }
        }
        try buffer.release()
        return bytes
    }
}
