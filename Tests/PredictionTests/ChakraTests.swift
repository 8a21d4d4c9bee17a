import Foundation
import Testing

@testable import Prediction

/// On traces that Python's protobuf package wrote by the published schema: Tests/chakra/make.
struct ChakraTests {
    static func trace(_ name: String) throws -> [UInt8] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return [UInt8](try Data(contentsOf: folder.appendingPathComponent("chakra/\(name).et")))
    }

    /// The one line with which bytes are refused.
    private func refusal(_ bytes: [UInt8]) -> String? {
        do {
            _ = try ModelProfile(chakra: bytes, batch: 1, place: "t.et")
            return nil
        } catch {
            #expect(error is PredictionError && !"\(error)".contains("\n"))
            return "\(error)"
        }
    }

    @Test(arguments: ["by-dependencies", "by-times"])
    func aTraceBecomesAProfile(name: String) throws {
        let profile = try ModelProfile(chakra: Self.trace(name), batch: 32, place: "t.et")
        #expect(profile.batch == 32 && profile.name == "t.et")
        // The last all-reduce has the first layers. Its size is no multiple of an element's.
        #expect(profile.layers.map(\.parameters) == [[2_000_001], [1_000_000]])
        let milliseconds = profile.layers.flatMap { [$0.forwardSeconds, $0.backwardSeconds] }.map { ($0 * 1e6).rounded() / 1e3 }
        #expect(milliseconds == [2, 4, 1, 2])
        #expect(abs(profile.optimizerSeconds - 0.6e-3) < 1e-12 && abs(profile.stepSeconds - 9.6e-3) < 1e-12)
        let row = try Predictor(profile, on: Cluster(name: "c")).rows(ranks: [2])[0]
        #expect(row.stepSeconds >= profile.stepSeconds - 1e-9 && row.efficiency <= 1)
    }

    @Test func aTraceThatIsCutOffIsRefusedOrEndsWithAWholeNode() throws {
        let whole = try Self.trace("by-dependencies")
        let count = try ChakraTrace(whole, place: "t.et").nodes.count
        var ends: [Int] = []
        for length in whole.indices {
            do {
                let trace = try ChakraTrace(Array(whole[..<length]), place: "t.et")
                #expect(trace.nodes.count < count)
                ends.append(trace.nodes.count)
            } catch {
                #expect("\(error)".hasPrefix("t.et: "))
            }
        }
        #expect(ends == Array(1..<count))
        #expect(refusal(whole.dropLast())?.contains("is the file cut off?") == true)
    }

    @Test func whateverABytesIsChangedToNothingTraps() throws {
        let whole = try Self.trace("by-dependencies")
        for index in whole.indices {
            for byte in [0, whole[index] ^ 1, whole[index] ^ 0x80, 0xff] as [UInt8] {
                var bytes = whole
                bytes[index] = byte
                if let profile = try? ModelProfile(chakra: bytes, batch: 1, place: "t.et") { #expect(profile.stepSeconds > 0) }
            }
        }
    }

    @Test(
        arguments: [
            ([], "t.et: the file is empty"),
            (
                Array("{\"name\": \"p\", \"batch\": 1}".utf8),
                "t.et: byte 1: 123 more bytes are needed and 24 are left; is the file cut off?"
            ),
            ([2, 8, 1], "t.et: byte 3: it does not begin with metadata; give a Chakra trace"),
            ([0], "t.et: no node is in it"),
            ([0, 2, 11, 1], "t.et: byte 3: a field of no known kind"),
            ([0, 2, 8], "t.et: byte 2: 2 more bytes are needed and 1 are left; is the file cut off?"),
            ([0, 12, 8] + Array(repeating: 0xff, count: 10) + [1], "t.et: byte 13: a number of more than 64 bits"),
            ([0, 2, 10, 0], "t.et: byte 4: a field is no number"),
            ([0, 3, 18, 9, 65, 0], "t.et: byte 4: a field is longer than its message"),
            ([0, 4, 24, 4, 56, 5], "t.et: no all-reduce is in it"),
            ([0, 2, 24, 7], "t.et: node 0 '' is a collective without comm_type and comm_size"),
            ([0, 2, 24, 5], "t.et: node 0 '' sends or receives"),
            // Two nodes, each of which waits for the other.
            ([0, 6, 8, 1, 24, 4, 34, 0], "t.et: no all-reduce is in it"),
            ([0, 4, 8, 1, 32, 2, 4, 8, 2, 32, 1], "t.et: nodes 2 and 1 wait for each other"),
        ] as [([UInt8], String)])
    func otherFilesGetOneLine(bytes: [UInt8], message: String) {
        let refusal = refusal(bytes) ?? "it was read"
        #expect(refusal.hasPrefix(message), "\(refusal)")
    }

    /// A node as bytes: a message of fields behind its length.
    private func node(_ id: UInt8, type: UInt8, micros: UInt8 = 0, attributes: [(String, UInt8)] = []) -> [UInt8] {
        var fields: [UInt8] = [8, id, 24, type, 56, micros]
        for (name, value) in attributes {
            let attribute = [10, UInt8(name.utf8.count)] + Array(name.utf8) + [0x48, value]
            fields += [82, UInt8(attribute.count)] + attribute
        }
        return [UInt8(fields.count)] + fields
    }

    @Test func withoutADeviceTheHostsNodesCount() throws {
        let bytes = [0] + node(1, type: 4, micros: 9) + node(2, type: 7, attributes: [("comm_type", 0), ("comm_size", 8)])
        let profile = try ModelProfile(chakra: bytes, batch: 1, place: "t.et")
        #expect(abs(profile.stepSeconds - 9e-6) < 1e-15 && abs(profile.forwardSeconds - 3e-6) < 1e-15 && profile.parameterCount == 2)
    }

    @Test func otherCollectivesThanDataParallelOnesAreRefused() {
        let bytes = [0] + node(1, type: 4, micros: 9) + node(2, type: 7, attributes: [("comm_type", 2), ("comm_size", 8)])
        #expect(refusal(bytes) == "t.et: node 2 '' is no all-reduce, broadcast or barrier; give a trace of data-parallel training")
    }
}
