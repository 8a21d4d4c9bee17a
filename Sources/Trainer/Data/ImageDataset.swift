/// Labelled grey images of one size, in memory as bytes.
public struct ImageDataset: Sendable {
    /// Digits 0 ... 9.
    public static let classCount = 10
    /// How many images ahead of the one that is copied are fetched into the caches.
    private static let rowsAhead = 4

    public let rows: Int
    public let columns: Int
    /// count x rows x columns, 0 background ... 255.
    public let pixels: [UInt8]
    /// One class for each image.
    public let labels: [UInt8]

    public var count: Int { labels.count }
    public var pixelsPerImage: Int { rows * columns }

    /// Traps where the parts do not fit together; a loader checks them first.
    public init(rows: Int, columns: Int, pixels: [UInt8], labels: [UInt8]) {
        invariant(
            pixels.count == labels.count * rows * columns, "\(pixels.count) pixels for \(labels.count) images of \(rows) x \(columns)")
        invariant(labels.allSatisfy { $0 < Self.classCount }, "a label is not below \(Self.classCount)")
        self.rows = rows
        self.columns = columns
        self.pixels = pixels
        self.labels = labels
    }

    /// The images of a range, as a data set of its own.
    public subscript(range: Range<Int>) -> ImageDataset {
        ImageDataset(
            rows: rows, columns: columns, pixels: Array(pixels[range.lowerBound * pixelsPerImage..<range.upperBound * pixelsPerImage]),
            labels: Array(labels[range]))
    }

    /// Row by row the chosen samples, scaled to 0...1.
    func copyPixels(of samples: ArraySlice<Int>, into matrix: Matrix) {
        invariant(matrix.rows == samples.count && matrix.columns == pixelsPerImage, "the matrix has another shape than the batch")
        let pixelsPerImage = self.pixelsPerImage
        unsafe pixels.withUnsafeBufferPointer { pixels in
            var target = unsafe matrix.base
            for index in samples.indices {
                // The order is a shuffle, so no hardware foresees the next rows.
                if index + Self.rowsAhead < samples.endIndex {
                    // SAFETY: a fetch into the caches reads nothing, wherever it points.
                    unsafe Elements.prefetch(
                        pixels.baseAddress! + samples[index + Self.rowsAhead] &* pixelsPerImage, byteCount: pixelsPerImage)
                }
                let sample = samples[index]
                invariant(sample >= 0 && sample < count, "sample \(sample) of \(count)")
                // SAFETY: the sample is in the array, whose memory withUnsafeBufferPointer holds; the target's row is in the matrix.
                let source = unsafe pixels.baseAddress! + sample * pixelsPerImage
                unsafe Elements.chosen.scale(source, into: target, count: pixelsPerImage)
                unsafe target += pixelsPerImage
            }
        }
    }
}

/// What is learnt from and what is only looked at.
public struct DataSplit: Sendable {
    public let training: ImageDataset
    public let heldOut: ImageDataset
    /// Where it came from, for people: a folder and its files, or the generator.
    public let origin: String

    public init(training: ImageDataset, heldOut: ImageDataset, origin: String) {
        invariant(training.rows == heldOut.rows && training.columns == heldOut.columns, "both parts have images of one size")
        self.training = training
        self.heldOut = heldOut
        self.origin = origin
    }
}
