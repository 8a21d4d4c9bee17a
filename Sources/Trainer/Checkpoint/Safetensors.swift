/// A safetensors file: the length of a header, 8 bytes little-endian; the header, JSON with each tensor's type, shape and place, and texts of the
/// writer's own; then the tensors, one behind the other.
/// Source: huggingface/safetensors, README, "Format"; as its own reader, this one refuses holes, overlaps and anything behind the last tensor.
struct Safetensors {
    struct Tensor: Equatable {
        var type: String
        var shape: [Int]
        /// In the data, in bytes.
        var range: Range<Int>
    }

    struct Header: Equatable {
        var metadata: [String: String]
        var tensors: [String: Tensor]
    }

    let path: String
    let header: Header
    /// The whole file.
    let bytes: [UInt8]
    private let dataStart: Int

    /// What the writer's own texts are called in the header.
    static let metadataName = "__metadata__"
    /// Of one tensor that we write.
    static let type = "F32"
    private static let lengthByteCount = 8
    /// The format allows 100 MB; a model of ours has kilobytes, and a parsed header takes many times its bytes.
    static let maximumHeaderByteCount = 16_000_000
    /// Where the first tensor begins is a multiple of it; the header ends in spaces for that.
    static let alignment = 64
    private static let byteCounts = [
        "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2, "U32": 4, "I32": 4, "F32": 4,
        "U64": 8, "I64": 8, "F64": 8,
    ]

    /// - Parameter path: for errors.
    init(_ bytes: [UInt8], path: String) throws(CheckpointError) {
        let length = try Self.headerLength(bytes.prefix(Self.lengthByteCount), fileByteCount: bytes.count, path)
        dataStart = Self.lengthByteCount + length
        header = try Self.header(bytes[Self.lengthByteCount..<dataStart], dataByteCount: bytes.count - dataStart, path)
        (self.bytes, self.path) = (bytes, path)
    }

    /// Reads a file, and of one that is not wanted only the header.
    /// - Parameter accepting: throws where the tensors need not be read.
    static func read(
        _ path: String, accepting: (Header) throws(CheckpointError) -> Void = { (_) throws(CheckpointError) in }
    ) throws(CheckpointError) -> Safetensors {
        var source = try CheckpointFile.Source(path)
        var bytes = try source.read(lengthByteCount)
        let length = try headerLength(bytes[...], fileByteCount: source.byteCount, path)
        bytes += try source.read(length)
        let dataByteCount = source.byteCount - bytes.count
        try accepting(try header(bytes[lengthByteCount...], dataByteCount: dataByteCount, path))
        bytes += try source.read(dataByteCount)
        return try Safetensors(bytes, path: path)
    }

    /// The bytes of a tensor.
    func data(of tensor: Tensor) -> ArraySlice<UInt8> {
        bytes[dataStart + tensor.range.lowerBound..<dataStart + tensor.range.upperBound]
    }

    // MARK: reading

    static func damaged(_ path: String, _ cause: CheckpointError.Cause = .wrongHeader, expected: String, found: String) -> CheckpointError {
        CheckpointError(cause, path: path, expected: expected, found: found, remedy: "give a checkpoint of verbena train that is whole")
    }

    private static func headerLength(_ prefix: ArraySlice<UInt8>, fileByteCount: Int, _ path: String) throws(CheckpointError) -> Int {
        guard prefix.count == lengthByteCount else {
            throw damaged(path, .truncated, expected: "a safetensors file", found: "\(fileByteCount) bytes, too few for one")
        }
        let length = prefix.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        // A file of another format shows itself here: its first bytes are a number beyond all bounds.
        guard length >= 2, length <= maximumHeaderByteCount else {
            throw damaged(
                path, expected: "a safetensors file, whose header has 2 to \(maximumHeaderByteCount) bytes", found: "a length of \(length)")
        }
        guard Int(length) <= fileByteCount - lengthByteCount else {
            throw damaged(path, .truncated, expected: "a header of \(length) bytes", found: "\(fileByteCount - lengthByteCount) bytes")
        }
        return Int(length)
    }

    private static func header(_ json: ArraySlice<UInt8>, dataByteCount: Int, _ path: String) throws(CheckpointError) -> Header {
        let value: SafetensorsJSON.Value
        do { value = try SafetensorsJSON.parse(json) } catch {
            throw damaged(path, expected: "a safetensors file", found: error.detail)
        }
        guard case .object(var members) = value else {
            throw damaged(path, expected: "a safetensors file", found: "a header without names")
        }
        let metadata = try texts(members.removeValue(forKey: metadataName) ?? .object([:]), path)
        var tensors: [String: Tensor] = [:]
        for (name, value) in members { tensors[name] = try tensor(value, name, path) }
        try checkPlaces(tensors, dataByteCount: dataByteCount, path)
        return Header(metadata: metadata, tensors: tensors)
    }

    private static func texts(_ value: SafetensorsJSON.Value, _ path: String) throws(CheckpointError) -> [String: String] {
        var texts: [String: String] = [:]
        guard case .object(let members) = value else { throw damaged(path, expected: "texts in \(metadataName)", found: "something else") }
        for (name, value) in members {
            guard case .text(let text) = value else {
                throw damaged(path, expected: "a text for \(name) in \(metadataName)", found: "something else")
            }
            texts[name] = text
        }
        return texts
    }

    private static func tensor(_ value: SafetensorsJSON.Value, _ name: String, _ path: String) throws(CheckpointError) -> Tensor {
        guard case .object(let members) = value, members.count == 3, case .text(let type)? = members["dtype"],
            let shape = numbers(members["shape"]), let offsets = numbers(members["data_offsets"]), offsets.count == 2
        else {
            throw damaged(path, expected: "dtype, shape and two data_offsets of tensor \(name), and nothing else", found: "something else")
        }
        guard let elementByteCount = byteCounts[type] else {
            throw damaged(path, expected: "a dtype of safetensors for tensor \(name)", found: type)
        }
        var byteCount = elementByteCount
        for size in shape {
            let (product, overflow) = byteCount.multipliedReportingOverflow(by: size)
            guard !overflow else { throw damaged(path, expected: "a size of tensor \(name)", found: "shape \(shape)") }
            byteCount = product
        }
        guard offsets[0] <= offsets[1], offsets[1] - offsets[0] == byteCount else {
            throw damaged(path, expected: "\(byteCount) bytes for tensor \(name), \(type) of shape \(shape)", found: "offsets \(offsets)")
        }
        return Tensor(type: type, shape: shape, range: offsets[0]..<offsets[1])
    }

    private static func numbers(_ value: SafetensorsJSON.Value?) -> [Int]? {
        guard case .list(let elements)? = value else { return nil }
        let numbers = elements.compactMap { if case .number(let number) = $0 { number } else { nil } }
        return numbers.count == elements.count ? numbers : nil
    }

    /// Tensors fill the data, one behind the other.
    private static func checkPlaces(_ tensors: [String: Tensor], dataByteCount: Int, _ path: String) throws(CheckpointError) {
        var end = 0
        for (name, tensor) in tensors.sorted(by: {
            ($0.value.range.lowerBound, $0.value.range.upperBound) < ($1.value.range.lowerBound, $1.value.range.upperBound)
        }) {
            guard tensor.range.lowerBound == end else {
                throw damaged(
                    path, expected: "tensor \(name) to begin at byte \(end) of the data", found: "byte \(tensor.range.lowerBound)")
            }
            end = tensor.range.upperBound
        }
        guard dataByteCount >= end else {
            throw damaged(path, .truncated, expected: "\(end) bytes of tensors", found: "\(dataByteCount)")
        }
        guard dataByteCount == end else {
            throw damaged(
                path, .trailingBytes, expected: "the end after \(end) bytes of tensors", found: "\(dataByteCount - end) bytes more")
        }
    }

    // MARK: writing

    /// A whole file, in the memory that `image` has.
    /// - Parameter tensors: with the names that they get.
    static func encode(metadata: [String: String], tensors: [(name: String, values: Parameter)], into image: inout [UInt8]) {
        let texts = metadata.sorted { $0.key < $1.key }.map { "\(SafetensorsJSON.quoted($0)):\(SafetensorsJSON.quoted($1))" }
        var members = ["\(SafetensorsJSON.quoted(metadataName)):{\(texts.joined(separator: ","))}"]
        var end = 0
        for (name, values) in tensors {
            let start = end
            end += values.elementCount * MemoryLayout<Float>.stride
            let shape = values.shape.map(String.init).joined(separator: ",")
            members.append(
                "\(SafetensorsJSON.quoted(name)):{\"dtype\":\"\(type)\",\"shape\":[\(shape)],\"data_offsets\":[\(start),\(end)]}")
        }
        var header = Array("{\(members.joined(separator: ","))}".utf8)
        let unaligned = (lengthByteCount + header.count) % alignment
        if unaligned > 0 { header += [UInt8](repeating: UInt8(ascii: " "), count: alignment - unaligned) }
        image.removeAll(keepingCapacity: true)
        image.reserveCapacity(lengthByteCount + header.count + end)
        for byte in 0..<lengthByteCount { image.append(UInt8(truncatingIfNeeded: header.count >> (8 * byte))) }
        image += header
        for (_, values) in tensors {
            // SAFETY: the parameter holds its values; bytes of little-endian floats, as the format has them.
            unsafe image.append(contentsOf: UnsafeRawBufferPointer(values.values))
        }
    }
}
