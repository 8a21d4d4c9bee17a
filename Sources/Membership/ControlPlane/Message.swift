import FoundationEssentials
import NIOCore

/// Everything that goes between a rank and the coordinator once both are authenticated.
///
/// On the wire a message is JSON behind its length, and the payload follows as it is (`Envelope`).
package enum Message: Codable, Sendable, Equatable {
    // From a rank.

    /// This rank's part of a gather; the payload is its bytes. `members` are those of the gather's group, nil where all ranks take part;
    /// `collectivesBegun` is how many operations of the group this rank had begun before, of each of their orders, where it says so.
    case contribute(gather: GatherID, members: [Int]?, label: String, timeoutSeconds: Double, collectivesBegun: [UInt64]? = nil)
    /// This rank has waited for another in an operation, for long; said again and again.
    case waiting(OperationWait)
    /// This rank saw a failure.
    case report(Verdict)
    /// This rank concludes from its connections that the other has ended.
    case conclude(Verdict)
    /// This rank takes leave; nothing follows.
    case goodbye

    // From the coordinator.

    /// All ranks are here.
    case started
    /// Parts of a gather of its members number `first ...`, in order; the payload is their bytes one behind the other. A part that is the one before it
    /// again has `Message.repetition` for its count, and no bytes: where ranks agree, a gather costs each what one of them says.
    case gathered(gather: GatherID, first: Int, byteCounts: [Int])
    /// The job ends by this.
    case failed(Verdict)
    /// The answer to `goodbye`.
    case farewell

    // From both.

    /// A sign of life.
    case alive

    static let repetition = -1
}

/// JSON, where encoding cannot fail and decoding fails by nil: what a stranger sends needs no reason why.
enum Wire {
    static func encode(_ value: some Encodable) -> [UInt8] {
        do {
            let encoder = JSONEncoder()
            encoder.outputFormatting = .withoutEscapingSlashes
            return [UInt8](try encoder.encode(value))
        } catch {
            // Our own types hold integers, strings and finite numbers only.
            fatalError("a message of our own could not be encoded: \(error)")
        }
    }

    static func decode<Value: Decodable>(_ type: Value.Type, from json: [UInt8]) -> Value? {
        try? JSONDecoder().decode(type, from: Data(json))
    }
}
