/// IDX, the format of MNIST: a magic number, the sizes, then one byte a value; all numbers big-endian.
/// Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits".
enum IDXFile {
    /// Third byte: unsigned bytes; fourth: how many dimensions.
    static let imagesMagic: UInt32 = 0x0000_0803
    static let labelsMagic: UInt32 = 0x0000_0801

    /// Bounds on what a header may claim. MNIST's largest relative (EMNIST) has 814,255 images of 28 x 28.
    static let maximumItems = 10_000_000
    static let maximumSide = 1024
    static let maximumBytes = 1 << 31

    struct Images {
        let rows: Int
        let columns: Int
        let pixels: [UInt8]
        var count: Int { pixels.count / (rows * columns) }
    }

    static func images(path: String) throws(DataError) -> Images {
        var source = try ByteSource(path: path)
        let sizes = try header(&source, magic: imagesMagic, kind: "images", dimensions: 3)
        let (count, rows, columns) = (sizes[0], sizes[1], sizes[2])
        let fits = (1...maximumItems).contains(count) && (1...maximumSide).contains(rows) && (1...maximumSide).contains(columns)
        guard fits && count * rows * columns <= maximumBytes else {
            throw DataError(
                .wrongSize, path: path,
                expected: "1 to \(maximumItems) images of up to \(maximumSide) x \(maximumSide), \(maximumBytes) bytes in all",
                found: "\(count) images of \(rows) x \(columns) in its header", remedy: "fetch the file again")
        }
        let pixels = try body(&source, byteCount: count * rows * columns, what: "\(count) images of \(rows) x \(columns)")
        return Images(rows: rows, columns: columns, pixels: pixels)
    }

    static func labels(path: String) throws(DataError) -> [UInt8] {
        var source = try ByteSource(path: path)
        let count = try header(&source, magic: labelsMagic, kind: "labels", dimensions: 1)[0]
        guard (1...maximumItems).contains(count) else {
            throw DataError(
                .wrongSize, path: path, expected: "1 to \(maximumItems) labels", found: "\(count) in its header",
                remedy: "fetch the file again")
        }
        let labels = try body(&source, byteCount: count, what: "\(count) labels")
        if let index = labels.firstIndex(where: { $0 >= ImageDataset.classCount }) {
            throw DataError(
                .wrongLabel, path: path, expected: "labels 0 to \(ImageDataset.classCount - 1)",
                found: "\(labels[index]) at index \(index)",
                remedy: "use a data set of digits")
        }
        return labels
    }

    /// Images with their labels.
    static func dataset(images imagesPath: String, labels labelsPath: String) throws(DataError) -> ImageDataset {
        let images = try images(path: imagesPath)
        let labels = try labels(path: labelsPath)
        guard images.count == labels.count else {
            throw DataError(
                .mismatch, path: labelsPath, expected: "\(images.count) labels, one for each image of \(imagesPath)",
                found: "\(labels.count)", remedy: "fetch both files from one source")
        }
        return ImageDataset(rows: images.rows, columns: images.columns, pixels: images.pixels, labels: labels)
    }

    /// Checks the magic number and returns the sizes.
    private static func header(
        _ source: inout ByteSource, magic: UInt32, kind: String, dimensions: Int
    ) throws(DataError) -> [Int] {
        let byteCount = 4 * (1 + dimensions)
        let bytes = try source.read(upTo: byteCount)
        let words = stride(from: 0, to: bytes.count - bytes.count % 4, by: 4).map { start in
            bytes[start..<start + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        }
        if let found = words.first, found != magic {
            throw DataError(
                .wrongMagic, path: source.path, expected: "an IDX file of \(kind), magic \(hexadecimal(magic))",
                found: "magic \(hexadecimal(found))\(name(of: found))", remedy: "put the file of \(kind) under this name")
        }
        guard words.count == 1 + dimensions else {
            throw truncated(source.path, expected: "a header of \(byteCount) bytes", found: bytes.count)
        }
        return words.dropFirst().map { Int($0) }
    }

    /// The values that the header promised, and the file's end after them.
    private static func body(_ source: inout ByteSource, byteCount: Int, what: String) throws(DataError) -> [UInt8] {
        let bytes = try source.read(upTo: byteCount)
        guard bytes.count == byteCount else {
            throw truncated(source.path, expected: "\(byteCount) bytes for \(what)", found: bytes.count)
        }
        // Reading past the end also makes zlib compare the checksum.
        guard try source.read(upTo: 1).isEmpty else {
            throw DataError(
                .trailingBytes, path: source.path, expected: "the end after \(what)", found: "more bytes", remedy: "fetch the file again")
        }
        return bytes
    }

    private static func truncated(_ path: String, expected: String, found: Int) -> DataError {
        DataError(.truncated, path: path, expected: expected, found: "\(found) bytes", remedy: "fetch the file again")
    }

    private static func hexadecimal(_ value: UInt32) -> String {
        let digits = String(value, radix: 16)
        return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
    }

    private static func name(of magic: UInt32) -> String {
        switch magic {
        case imagesMagic: " (images)"
        case labelsMagic: " (labels)"
        default: ""
        }
    }
}
