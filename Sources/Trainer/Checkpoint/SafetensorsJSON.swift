/// JSON as far as the header of a safetensors file needs it: objects, lists, texts and whole numbers from 0.
///
/// Stricter than common parsers: a key may come once only, so that no two readers see different tensors in one file.
enum SafetensorsJSON {
    indirect enum Value: Equatable {
        case text(String)
        case number(Int)
        case list([Value])
        case object([String: Value])
    }

    /// What is wrong, for people, with the place in bytes.
    struct Fault: Error { let detail: String }

    static func parse(_ bytes: ArraySlice<UInt8>) throws(Fault) -> Value {
        var parser = Parser(bytes: bytes, place: bytes.startIndex)
        let value = try parser.value(depth: 0)
        parser.skipSpace()
        guard parser.place == bytes.endIndex else { throw parser.fault("something after its end") }
        return value
    }

    /// As a JSON text, quotes and all.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    private struct Parser {
        /// Header, tensor, list: the format has no more.
        private static let maximumDepth = 4
        /// 10^18 fits.
        private static let maximumDigits = 18

        let bytes: ArraySlice<UInt8>
        var place: Int

        func fault(_ what: String) -> Fault { Fault(detail: "\(what) at byte \(place - bytes.startIndex) of its header") }

        mutating func skipSpace() {
            while place < bytes.endIndex, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[place]) { place += 1 }
        }

        private mutating func next() throws(Fault) -> UInt8 {
            guard place < bytes.endIndex else { throw fault("the end") }
            defer { place += 1 }
            return bytes[place]
        }

        /// Takes the byte if it comes next, after space.
        private mutating func takes(_ character: Unicode.Scalar) -> Bool {
            skipSpace()
            guard place < bytes.endIndex, bytes[place] == UInt8(ascii: character) else { return false }
            place += 1
            return true
        }

        private mutating func wants(_ character: Unicode.Scalar) throws(Fault) {
            guard takes(character) else { throw fault("no \(character)") }
        }

        mutating func value(depth: Int) throws(Fault) -> Value {
            guard depth < Self.maximumDepth else { throw fault("too deep a nesting") }
            if takes("{") { return .object(try members(depth: depth + 1)) }
            if takes("[") { return .list(try elements(depth: depth + 1)) }
            if takes("\"") { return .text(try text()) }
            return .number(try number())
        }

        private mutating func members(depth: Int) throws(Fault) -> [String: Value] {
            var members: [String: Value] = [:]
            if takes("}") { return members }
            repeat {
                try wants("\"")
                let name = try text()
                try wants(":")
                guard members.updateValue(try value(depth: depth), forKey: name) == nil else { throw fault("\(quoted(name)) twice") }
            } while takes(",")
            try wants("}")
            return members
        }

        private mutating func elements(depth: Int) throws(Fault) -> [Value] {
            var elements: [Value] = []
            if takes("]") { return elements }
            repeat { elements.append(try value(depth: depth)) } while takes(",")
            try wants("]")
            return elements
        }

        private mutating func number() throws(Fault) -> Int {
            let start = place
            while place < bytes.endIndex, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[place]) { place += 1 }
            let digits = bytes[start..<place]
            guard !digits.isEmpty, digits.count <= Self.maximumDigits else {
                place = start
                throw fault("no text, whole number, list or object")
            }
            return digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
        }

        /// After the opening quote.
        private mutating func text() throws(Fault) -> String {
            var content: [UInt8] = []
            while true {
                let byte = try next()
                switch byte {
                case UInt8(ascii: "\""):
                    guard let text = String(validating: content, as: UTF8.self) else { throw fault("a text that is not UTF-8") }
                    return text
                case UInt8(ascii: "\\"): content += Array(String(Character(try escaped())).utf8)
                case ..<0x20: throw fault("a control character in a text")
                default: content.append(byte)
                }
            }
        }

        private mutating func escaped() throws(Fault) -> Unicode.Scalar {
            let byte = try next()
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
            case UInt8(ascii: "b"): return "\u{8}"
            case UInt8(ascii: "f"): return "\u{c}"
            case UInt8(ascii: "n"): return "\n"
            case UInt8(ascii: "r"): return "\r"
            case UInt8(ascii: "t"): return "\t"
            case UInt8(ascii: "u"): return try scalar()
            default: throw fault("an unknown escape")
            }
        }

        /// After `\u`: four digits, and four more where they are half of a pair.
        private mutating func scalar() throws(Fault) -> Unicode.Scalar {
            let first = try unit()
            if let scalar = Unicode.Scalar(first) { return scalar }
            if first < 0xDC00, try next() == UInt8(ascii: "\\"), try next() == UInt8(ascii: "u") {
                let second = try unit()
                if (0xDC00...0xDFFF).contains(second),
                    let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
                {
                    return scalar
                }
            }
            throw fault("half of a pair of surrogates")
        }

        private mutating func unit() throws(Fault) -> UInt32 {
            var unit: UInt32 = 0
            for _ in 0..<4 {
                guard let digit = Character(Unicode.Scalar(try next())).hexDigitValue else { throw fault("an unknown escape") }
                unit = unit << 4 | UInt32(digit)
            }
            return unit
        }
    }
}
