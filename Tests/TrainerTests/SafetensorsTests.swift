import Testing

@testable import Trainer

@Suite("Safetensors")
struct SafetensorsTests {
    /// A file of this header, and so many bytes of tensors.
    static func file(_ header: String, dataByteCount: Int = 0) -> [UInt8] {
        let json = Array(header.utf8)
        return (0..<8).map { UInt8(truncatingIfNeeded: json.count >> (8 * $0)) } + json + [UInt8](repeating: 1, count: dataByteCount)
    }

    static func parameter(_ name: String, _ shape: [Int], _ values: [Float]) -> Parameter {
        let parameter = Parameter(name: name, shape: shape, decays: false)
        for (index, value) in values.enumerated() { unsafe parameter.values[index] = value }
        return parameter
    }

    @Test("what is written is read again, its tensors aligned, whatever the texts hold")
    func roundTrip() throws {
        let texts = ["characters": "\"\\/\u{8}\n\t\u{1}\u{7f}äß€😀\u{301}", "": "", "format": "x"]
        let tensors = [Self.parameter("a", [2, 3], [1, 2, 3, 4, 5, -0.5]), Self.parameter("b\"", [1], [.pi])]
        var image: [UInt8] = [9, 9]
        Safetensors.encode(metadata: texts, tensors: tensors.map { ($0.name, $0) }, into: &image)
        let read = try Safetensors(image, path: "x")
        #expect(read.header.metadata == texts)
        #expect(
            read.header.tensors == [
                "a": .init(type: "F32", shape: [2, 3], range: 0..<24), "b\"": .init(type: "F32", shape: [1], range: 24..<28),
            ])
        #expect((image.count - 28) % Safetensors.alignment == 0)
        #expect(Array(read.data(of: read.header.tensors["a"]!).prefix(8)) == [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40])
    }

    @Test("other programs' headers are read: spaces, escapes, other types, no metadata, tensors of nothing")
    func foreignHeaders() throws {
        let header =
            #" { "\u0061\ud83d\ude00" : {"shape":[ ],"data_offsets":[0,2], "dtype":"BF16"} ,"#
            + "\n" + #""z":{"dtype":"F64","shape":[0,3],"data_offsets":[2,2]}}  "#
        let read = try Safetensors(Self.file(header, dataByteCount: 2), path: "x")
        #expect(
            read.header.tensors == [
                "a😀": .init(type: "BF16", shape: [], range: 0..<2), "z": .init(type: "F64", shape: [0, 3], range: 2..<2),
            ])
        #expect(read.header.metadata.isEmpty)
    }

    static func tensor(_ name: String, _ offsets: String, shape: String = "[1]", type: String = "\"F32\"") -> String {
        "\"\(name)\":{\"dtype\":\(type),\"shape\":\(shape),\"data_offsets\":\(offsets)}"
    }

    static let damaged: [(bytes: [UInt8], cause: CheckpointError.Cause, word: String)] = [
        ([], .truncated, "0 bytes"), ([1, 2, 3], .truncated, "3 bytes"),
        ([UInt8](repeating: 255, count: 100), .wrongHeader, "a length of 18446744073709551615"),
        (Array("PK\u{3}\u{4} a zip archive of torch.save".utf8), .wrongHeader, "a length of"),
        ([1, 0, 0, 0, 0, 0, 0, 0, 0x7b], .wrongHeader, "a length of 1"),
        ([100, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d], .truncated, "expected a header of 100 bytes, found 2"),
        (file("[]"), .wrongHeader, "without names"), (file("{}x"), .wrongHeader, "after its end"),
        (file("{\(tensor("a", "[0,4]"))", dataByteCount: 4), .wrongHeader, "no }"),
        (file("{\(tensor("a", "[0,4]")),\(tensor("a", "[0,4]"))}", dataByteCount: 4), .wrongHeader, "\"a\" twice"),
        (file("{\(tensor("a", "[0,4]")),\(tensor("\\u0061", "[4,8]"))}", dataByteCount: 8), .wrongHeader, "\"a\" twice"),
        (file("{\(tensor("a", "[0,4]")),\(tensor("b", "[0,4]"))}", dataByteCount: 4), .wrongHeader, "to begin at byte 4"),
        (file("{\(tensor("a", "[0,4]")),\(tensor("b", "[8,12]"))}", dataByteCount: 12), .wrongHeader, "to begin at byte 4"),
        (file("{\(tensor("a", "[0,4]"))}", dataByteCount: 3), .truncated, "expected 4 bytes of tensors, found 3"),
        (file("{\(tensor("a", "[0,4]"))}", dataByteCount: 5), .trailingBytes, "1 bytes more"),
        (file("{\(tensor("a", "[4,0]"))}", dataByteCount: 4), .wrongHeader, "offsets [4, 0]"),
        (file("{\(tensor("a", "[0,8]"))}", dataByteCount: 8), .wrongHeader, "expected 4 bytes for tensor a"),
        (file("{\(tensor("a", "[0,4,8]"))}", dataByteCount: 4), .wrongHeader, "two data_offsets"),
        (file("{\(tensor("a", "[-1,3]"))}", dataByteCount: 4), .wrongHeader, "no text"),
        (file("{\(tensor("a", "[0,4]", shape: "[4294967296,4294967296]"))}", dataByteCount: 4), .wrongHeader, "a size of tensor a"),
        (file("{\(tensor("a", "[0,4]", shape: "[1.0]"))}", dataByteCount: 4), .wrongHeader, "no ]"),
        (file("{\(tensor("a", "[0,4]", shape: "[9999999999999999999]"))}", dataByteCount: 4), .wrongHeader, "no text"),
        (file("{\(tensor("a", "[0,4]", type: "\"F3\""))}", dataByteCount: 4), .wrongHeader, "found F3"),
        (file("{\(tensor("a", "[0,4]", type: "7"))}", dataByteCount: 4), .wrongHeader, "expected dtype"),
        (
            file("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", dataByteCount: 4), .wrongHeader,
            "nothing else"
        ),
        (file("{\"__metadata__\":{\"a\":1}}"), .wrongHeader, "a text for a"), (file("{\"__metadata__\":[]}"), .wrongHeader, "texts in"),
        (file("{\"a\\x\":1}"), .wrongHeader, "unknown escape"), (file("{\"a\\ud800\":1}"), .wrongHeader, "half of a pair"),
        (file("{\"a\n\":1}"), .wrongHeader, "control character"), (file("{\"a\":[[[[[[1]]]]]]}"), .wrongHeader, "too deep"),
        (file(String(repeating: "[", count: 20)), .wrongHeader, "too deep"),
        (file("{\"a") + [0xff] + Array("\":1}".utf8), .wrongHeader, "the end"),
    ]

    @Test("a damaged file is refused, with what was expected and found", arguments: damaged)
    func refused(bytes: [UInt8], cause: CheckpointError.Cause, word: String) {
        let error = #expect(throws: CheckpointError.self) { _ = try Safetensors(bytes, path: "file") }
        #expect(error?.cause == cause)
        #expect(error?.description.contains(word) == true && error?.description.hasPrefix("file: expected ") == true, "\(error as Any)")
        #expect(error?.description.contains("\n") == false)
    }

    @Test("an invalid UTF-8 name is refused")
    func notUTF8() {
        var bytes = Self.file("{\"a?\":1}")
        bytes[8 + 3] = 0xff
        let error = #expect(throws: CheckpointError.self) { _ = try Safetensors(bytes, path: "file") }
        #expect(error?.description.contains("not UTF-8") == true)
    }
}
