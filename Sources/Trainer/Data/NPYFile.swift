import FoundationEssentials

/// NumPy's file of one array.
/// Source: NumPy, "numpy.lib.format".
struct NPYFile {
    let path: String
    /// As NumPy writes it: `|u1`, `<f4`.
    let type: String
    let shape: [Int]
    let bytes: [UInt8]

    private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
    private static let maximumHeaderByteCount = 1 << 16
    private static let maximumByteCount = 1 << 34
    /// What we take.
    private static let byteCounts = ["|u1": 1, "<f4": 4, "<i4": 4, "<i8": 8]

    init(_ path: String) throws(DataError) {
        var source = try ByteSource(path: path)
        let start = try source.read(upTo: 8)
        guard start.count == 8, start.starts(with: Self.magic), (1...3).contains(start[6]) else {
            throw DataError(
                .wrongMagic, path: path, expected: "a file of NumPy's save", found: start.isEmpty ? "an empty file" : "another format",
                remedy: "write it with numpy.save")
        }
        let length = try source.read(upTo: start[6] == 1 ? 2 : 4).reversed().reduce(0) { $0 << 8 | Int($1) }
        let text = String(decoding: try source.read(upTo: min(length, Self.maximumHeaderByteCount)), as: UTF8.self)
        guard let type = Self.value("descr", in: text)?.split(separator: "'").first.map({ String($0) }),
            let order = Self.value("fortran_order", in: text), let list = Self.value("shape", in: text), list.hasPrefix("(")
        else {
            throw DataError(.wrongMagic, path: path, expected: "NumPy's header", found: "another one", remedy: "write it with numpy.save")
        }
        guard let size = Self.byteCounts[type], order.hasPrefix("False") else {
            throw DataError(
                .wrongType, path: path, expected: "an array of uint8 or float32 in C order; of int32 or int64 for labels",
                found: "\(type)\(order.hasPrefix("True") ? " in Fortran's order" : "")",
                remedy: "save numpy.ascontiguousarray(array.astype('uint8'))")
        }
        let words = list.dropFirst().prefix { $0 != ")" }.split(separator: ",").map { $0.filter { $0 != " " } }.filter { !$0.isEmpty }
        shape = words.compactMap { Int($0) }
        var byteCount = size
        for side in shape { byteCount = byteCount.multipliedReportingOverflow(by: max(side, 0)).overflow ? 0 : byteCount * max(side, 0) }
        guard shape.count == words.count, (1...Self.maximumByteCount).contains(byteCount) else {
            throw DataError(
                .wrongSize, path: path, expected: "an array of 1 to \(Self.maximumByteCount) bytes", found: "shape \(shape)",
                remedy: "write it with numpy.save")
        }
        (self.path, self.type) = (path, type)
        bytes = try source.read(upTo: byteCount)
        guard bytes.count == byteCount else {
            throw DataError(
                .truncated, path: path, expected: "\(byteCount) bytes for shape \(shape)", found: "\(bytes.count)",
                remedy: "write it again with numpy.save")
        }
        guard try source.read(upTo: 1).isEmpty else {
            throw DataError(
                .trailingBytes, path: path, expected: "the end after shape \(shape)", found: "more bytes",
                remedy: "write it again with numpy.save")
        }
    }

    /// What comes after a key of the header, a Python dictionary that NumPy writes in one form.
    private static func value(_ key: String, in text: String) -> Substring? {
        let parts = text.split(separator: "'\(key)':", maxSplits: 1, omittingEmptySubsequences: false)
        return parts.count == 2 ? parts[1].drop { $0 == " " } : nil
    }

    /// 0...255, of bytes as they are, of floats 0...1 in as many levels.
    func pixels() throws(DataError) -> [UInt8] {
        switch type {
        case "|u1": return bytes
        case "<f4":
            var pixels: [UInt8] = []
            pixels.reserveCapacity(bytes.count / 4)
            for start in stride(from: 0, to: bytes.count, by: 4) {
                let value = Float(bitPattern: UInt32(truncatingIfNeeded: word(start, 4)))
                guard value >= 0, value <= 1 else {
                    throw DataError(
                        .wrongSize, path: path, expected: "floats from 0 to 1", found: "\(value) at index \(start / 4)",
                        remedy: "scale them, or save uint8")
                }
                pixels.append(UInt8((value * 255).rounded()))
            }
            return pixels
        default:
            throw DataError(.wrongType, path: path, expected: "uint8 or float32", found: type, remedy: "save array.astype('uint8')")
        }
    }

    func labels() throws(DataError) -> [UInt8] {
        guard type != "<f4" else {
            throw DataError(.wrongType, path: path, expected: "whole numbers", found: "float32", remedy: "save labels.astype('uint8')")
        }
        let size = Self.byteCounts[type] ?? 1
        var labels: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            let label = word(start, size)
            guard label < UInt64(ImageDataset.classCount) else {
                throw DataError(
                    .wrongLabel, path: path, expected: "labels 0 to \(ImageDataset.classCount - 1)",
                    found: "another at index \(start / size)",
                    remedy: "use a data set of at most \(ImageDataset.classCount) classes")
            }
            labels.append(UInt8(label))
        }
        return labels
    }

    private func word(_ start: Int, _ size: Int) -> UInt64 { bytes[start..<start + size].reversed().reduce(0) { $0 << 8 | UInt64($1) } }
}

/// Images and labels that NumPy has saved: `train_images.npy` (count x height x width, or with channels behind), `train_labels.npy`, and `test_...` alike. Without those
/// the last fifth is held out.
enum NPYFolder {
    private static let maximumSide = 1024

    static func file(_ part: String, _ what: String) -> String { "\(part)_\(what).npy" }

    static func load(_ folder: String) throws(DataError) -> DataSplit {
        let training = try dataset(folder, "train")
        guard ImageFolder.has("\(folder)/\(file("test", "images"))") else { return try divided(training, folder) }
        let heldOut = try dataset(folder, "test")
        guard heldOut.input == training.input else {
            throw DataError(
                .mismatch, path: folder, expected: "test images as train images, \(training.input)", found: "\(heldOut.input)",
                remedy: "keep one data set in a folder")
        }
        return DataSplit(
            training: training, heldOut: heldOut, origin: "\(folder): \(training.count) images of train, held out \(heldOut.count) of test")
    }

    private static func divided(_ all: ImageDataset, _ folder: String) throws(DataError) -> DataSplit {
        let count = all.count - all.count / 5
        guard count < all.count else {
            throw DataError(
                .wrongSize, path: folder, expected: "at least 5 images, to hold out one in five", found: "\(all.count)",
                remedy: "add \(file("test", "images")) and \(file("test", "labels"))")
        }
        return DataSplit(
            training: all[0..<count], heldOut: all[count..<all.count],
            origin: "\(folder): first \(count) images of train, held out the other \(all.count - count)")
    }

    private static func dataset(_ folder: String, _ part: String) throws(DataError) -> ImageDataset {
        let images = try NPYFile("\(folder)/\(file(part, "images"))")
        let shape = images.shape
        let channels = shape.count == 4 ? shape[3] : 1
        guard (3...4).contains(shape.count), [1, 3].contains(channels), shape[1...2].allSatisfy({ (1...maximumSide).contains($0) }) else {
            throw DataError(
                .wrongSize, path: images.path, expected: "shape (count, height, width), or with 1 or 3 channels behind", found: "\(shape)",
                remedy: "transpose or reshape it, for channels that come first: images.transpose(0, 2, 3, 1)")
        }
        let labels = try NPYFile("\(folder)/\(file(part, "labels"))")
        guard labels.shape == [shape[0]] else {
            throw DataError(
                .mismatch, path: labels.path, expected: "shape [\(shape[0])], a label for each image", found: "\(labels.shape)",
                remedy: "save both from one source")
        }
        return ImageDataset(
            rows: shape[1], columns: shape[2], channels: channels, pixels: try images.pixels(), labels: try labels.labels())
    }
}
