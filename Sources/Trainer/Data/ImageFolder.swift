import FoundationEssentials

/// Loads the images of a folder, of whatever format its files are: CIFAR-10's, NumPy's, or IDX.
public enum ImageFolder {
    public static func load(_ path: String) throws(DataError) -> DataSplit {
        if let folder = [path, "\(path)/\(CIFARFolder.usualName)"].first(where: { has("\($0)/\(CIFARFolder.trainingFile(1))") }) {
            return try CIFARFolder.load(folder)
        }
        if has("\(path)/\(NPYFolder.file("train", "images"))") { return try NPYFolder.load(path) }
        return try IDXFolder.load(path)
    }

    static func has(_ file: String) -> Bool { FileManager.default.fileExists(atPath: file) }
}

/// CIFAR-10, the binary version: records of a label and 32 x 32 bytes of red, of green, and of blue.
/// Source: Krizhevsky, "The CIFAR-10 dataset".
enum CIFARFolder {
    static let side = 32
    private static let channels = 3
    private static let heldOutFile = "test_batch.bin"
    /// What the archive unpacks to.
    static let usualName = "cifar-10-batches-bin"
    private static var recordByteCount: Int { 1 + side * side * channels }
    /// The archive's files have 30 MB.
    private static let maximumFileByteCount = 1 << 30

    static func trainingFile(_ number: Int) -> String { "data_batch_\(number).bin" }

    /// The files are there in part only where somebody wants it so: they are taken as they are, from the first to the last in a row.
    static func load(_ folder: String) throws(DataError) -> DataSplit {
        let names = (1...5).map(trainingFile).prefix { ImageFolder.has("\(folder)/\($0)") }
        let training = try dataset(names.map { "\(folder)/\($0)" })
        let heldOut = try dataset(["\(folder)/\(heldOutFile)"])
        return DataSplit(
            training: training, heldOut: heldOut,
            origin: "\(folder): \(training.count) images of \(names.count) files of CIFAR-10, held out \(heldOut.count)")
    }

    private static func dataset(_ files: [String]) throws(DataError) -> ImageDataset {
        var (pixels, labels): ([UInt8], [UInt8]) = ([], [])
        for file in files { try read(file, &pixels, &labels) }
        return ImageDataset(rows: side, columns: side, channels: channels, pixels: pixels, labels: labels)
    }

    private static func read(_ file: String, _ pixels: inout [UInt8], _ labels: inout [UInt8]) throws(DataError) {
        var source = try ByteSource(path: file)
        let bytes = try source.read(upTo: maximumFileByteCount)
        guard !bytes.isEmpty, bytes.count.isMultiple(of: recordByteCount) else {
            throw DataError(
                .truncated, path: file, expected: "records of \(recordByteCount) bytes, a label and 32 x 32 x 3 values",
                found: "\(bytes.count) bytes", remedy: "fetch the file again, of CIFAR-10's binary version")
        }
        pixels.reserveCapacity(pixels.count + bytes.count)
        for start in stride(from: 0, to: bytes.count, by: recordByteCount) {
            guard bytes[start] < ImageDataset.classCount else {
                throw DataError(
                    .wrongLabel, path: file, expected: "labels 0 to \(ImageDataset.classCount - 1)",
                    found: "\(bytes[start]) at index \(start / recordByteCount)", remedy: "use CIFAR-10's binary version")
            }
            labels.append(bytes[start])
            // A plane a channel becomes a pixel's channels side by side.
            let planes = bytes[start + 1..<start + recordByteCount]
            for pixel in planes.startIndex..<planes.startIndex + side * side {
                for channel in 0..<channels { pixels.append(planes[pixel + channel * side * side]) }
            }
        }
    }
}
