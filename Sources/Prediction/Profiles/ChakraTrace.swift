/// A Chakra execution trace (MLCommons): messages of protobuf, each behind its length. The first is the metadata, all others are nodes.
///
/// Reads the wire format itself, and of it only what a profile needs; other fields are passed over, as protobuf has it.
struct ChakraTrace {
    /// As the schema numbers them; others have no part in a profile.
    enum Kind: UInt64 {
        case computing = 4
        case send = 5
        case receive = 6
        case collective = 7
    }

    /// As the schema numbers them; others are none that data-parallel ranks need.
    enum Collective: UInt64 {
        case allReduce = 0
        case broadcast = 5
        case barrier = 9
    }

    struct Node {
        var id: UInt64 = 0
        var name = ""
        var kind: Kind?
        var dependencies: [UInt64] = []
        var startMicroseconds: UInt64 = 0
        var durationMicroseconds: UInt64 = 0
        /// By name: those that are whole numbers.
        var attributes: [String: UInt64] = [:]

        var isOnDevice: Bool { attributes["is_cpu_op"] == 0 }
    }

    let place: String
    /// As they stand in the file.
    private(set) var nodes: [Node] = []

    /// - Throws: `PredictionError` where the bytes are no whole trace.
    init(_ bytes: [UInt8], place: String) throws {
        self.place = place
        var file = WireReader(bytes, place: place)
        guard !file.isAtEnd else { throw PredictionError("\(place): the file is empty") }
        var metadata = try file.message()
        while let (number, value) = try metadata.field() {
            if number <= 2, case .number = value { throw metadata.foreign("it does not begin with metadata") }
        }
        while !file.isAtEnd { nodes.append(try Self.node(try file.message())) }
        guard !nodes.isEmpty else { throw PredictionError("\(place): no node is in it") }
    }

    private static func node(_ message: WireReader) throws -> Node {
        var (message, node) = (message, Node())
        while let (number, value) = try message.field() {
            switch number {
            case 1: node.id = try message.number(value)
            case 2: node.name = try message.text(value)
            case 3: node.kind = Kind(rawValue: try message.number(value))
            case 4, 5: node.dependencies += try message.numbers(value)
            case 6: node.startMicroseconds = try message.number(value)
            case 7: node.durationMicroseconds = try message.number(value)
            case 10: try addAttribute(try message.inner(value), to: &node)
            default: continue
            }
        }
        return node
    }

    private static func addAttribute(_ message: WireReader, to node: inout Node) throws {
        var (message, name) = (message, "")
        var found: UInt64?
        while let (number, value) = try message.field() {
            switch number {
            case 1: name = try message.text(value)
            // int32, int64, uint32, uint64 and bool.
            case 7, 9, 11, 13, 27: found = try message.number(value)
            default: continue
            }
        }
        if let found { node.attributes[name] = found }
    }

    /// The nodes in the order in which they ran: by their starts, or where nobody has noted these, each after what it depends on, else as in the file.
    /// - Throws: `PredictionError` where nodes depend on each other in a ring.
    func inOrder() throws -> [Node] {
        if nodes.contains(where: { $0.startMicroseconds > 0 }) {
            return nodes.enumerated().sorted { ($0.element.startMicroseconds, $0.offset) < ($1.element.startMicroseconds, $1.offset) }.map(
                \.element)
        }
        let places = Dictionary(nodes.enumerated().map { ($0.element.id, $0.offset) }) { first, _ in first }
        var ordered: [Node] = []
        // How many dependencies of a node have been looked at; nil before the first.
        var looked: [Int?] = Array(repeating: nil, count: nodes.count)
        var isDone = Array(repeating: false, count: nodes.count)
        for root in nodes.indices where !isDone[root] {
            var path = [root]
            looked[root] = 0
            while let last = path.last {
                let next = looked[last] ?? 0
                guard next < nodes[last].dependencies.count else {
                    isDone[last] = true
                    ordered.append(nodes[last])
                    path.removeLast()
                    continue
                }
                looked[last] = next + 1
                guard let other = places[nodes[last].dependencies[next]], !isDone[other] else { continue }
                guard looked[other] == nil else {
                    throw PredictionError("\(place): nodes \(nodes[last].id) and \(nodes[other].id) wait for each other")
                }
                looked[other] = 0
                path.append(other)
            }
        }
        return ordered
    }
}

/// Protobuf's wire format: fields of a number and a value.
private struct WireReader {
    enum Value {
        case number(UInt64)
        /// Bytes with their length before them: a text, a message, or numbers.
        case bytes(Range<Int>)
        /// Of 4 or 8 bytes.
        case fixed
    }

    private let bytes: [UInt8]
    private let place: String
    private var at: Int
    private let end: Int

    init(_ bytes: [UInt8], place: String) { self.init(bytes, place, 0..<bytes.count) }

    private init(_ bytes: [UInt8], _ place: String, _ range: Range<Int>) {
        (self.bytes, self.place, at, end) = (bytes, place, range.lowerBound, range.upperBound)
    }

    var isAtEnd: Bool { at == end }

    func foreign(_ reason: String) -> PredictionError {
        PredictionError("\(place): byte \(at): \(reason); give a Chakra trace, as et_def.proto describes it")
    }

    private mutating func varint() throws -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard at < end else { throw cutOff(1) }
            let byte = bytes[at]
            at += 1
            guard shift < 63 || byte <= 1 else { break }
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
        }
        throw foreign("a number of more than 64 bits")
    }

    private func cutOff(_ count: UInt64) -> PredictionError {
        // Inside a message more bytes may follow, but its length says that they are not its own.
        end == bytes.count
            ? PredictionError("\(place): byte \(at): \(count) more bytes are needed and \(end - at) are left; is the file cut off?")
            : foreign("a field is longer than its message")
    }

    private mutating func take(_ count: UInt64) throws -> Range<Int> {
        guard count <= UInt64(end - at) else { throw cutOff(count) }
        defer { at += Int(count) }
        return at..<at + Int(count)
    }

    /// The next of the file's messages.
    mutating func message() throws -> WireReader { WireReader(bytes, place, try take(varint())) }

    /// The next field; nil at the message's end.
    mutating func field() throws -> (number: UInt64, value: Value)? {
        guard !isAtEnd else { return nil }
        let tag = try varint()
        guard tag >> 3 > 0 else { throw foreign("a field without a number") }
        switch tag & 7 {
        case 0: return (tag >> 3, .number(try varint()))
        case 1: _ = try take(8)
        case 2: return (tag >> 3, .bytes(try take(varint())))
        case 5: _ = try take(4)
        default: throw foreign("a field of no known kind")
        }
        return (tag >> 3, .fixed)
    }

    func number(_ value: Value) throws -> UInt64 {
        guard case .number(let number) = value else { throw foreign("a field is no number") }
        return number
    }

    func inner(_ value: Value) throws -> WireReader {
        guard case .bytes(let range) = value else { throw foreign("a field is no text and no message") }
        return WireReader(bytes, place, range)
    }

    func text(_ value: Value) throws -> String {
        let inner = try inner(value)
        return String(decoding: bytes[inner.at..<inner.end], as: UTF8.self)
    }

    /// One, or packed many.
    func numbers(_ value: Value) throws -> [UInt64] {
        if case .number(let number) = value { return [number] }
        var (inner, found) = (try inner(value), [UInt64]())
        while !inner.isAtEnd { found.append(try inner.varint()) }
        return found
    }
}
