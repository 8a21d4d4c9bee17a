public import Crypto

/// Labelled images of one size, in memory as bytes, channel by channel of each pixel.
public struct ImageDataset: Dataset {
    /// Digits 0 ... 9.
    public static let classCount = 10
    /// How many images ahead of the one that is copied are fetched into the caches.
    private static let rowsAhead = 4

    public let rows: Int
    public let columns: Int
    /// 1 grey, 3 red, green and blue.
    public let channels: Int
    /// count x rows x columns x channels, 0 background ... 255.
    public let pixels: [UInt8]
    /// One class for each image.
    public let labels: [UInt8]

    public var count: Int { labels.count }
    public var bytesPerImage: Int { rows * columns * channels }
    public var input: Shape { Shape(height: rows, width: columns, channels: channels) }
    public var classCount: Int { Self.classCount }
    public var labelsPerSample: Int { 1 }

    /// Traps where the parts do not fit together; a loader checks them first.
    public init(rows: Int, columns: Int, channels: Int = 1, pixels: [UInt8], labels: [UInt8]) {
        invariant(
            pixels.count == labels.count * rows * columns * channels,
            "\(pixels.count) bytes for \(labels.count) images of \(rows) x \(columns)")
        invariant(labels.allSatisfy { $0 < Self.classCount }, "a label is not below \(Self.classCount)")
        self.rows = rows
        self.columns = columns
        self.channels = channels
        self.pixels = pixels
        self.labels = labels
    }

    /// The images of a range, as a data set of its own.
    public subscript(range: Range<Int>) -> ImageDataset {
        ImageDataset(
            rows: rows, columns: columns, channels: channels,
            pixels: Array(pixels[range.lowerBound * bytesPerImage..<range.upperBound * bytesPerImage]),
            labels: Array(labels[range]))
    }

    /// Scaled to 0...1.
    public func load(_ samples: ArraySlice<Int>, into batch: Batch) {
        for (row, sample) in samples.enumerated() {
            invariant(sample >= 0 && sample < count, "sample \(sample) of \(count)")
            batch.setLabel(row, Int32(labels[sample]))
        }
        let bytesPerImage = self.bytesPerImage
        unsafe pixels.withUnsafeBufferPointer { pixels in
            var target = unsafe batch.matrix.base
            for index in samples.indices {
                // The order is a shuffle, so no hardware foresees the next rows.
                if index + Self.rowsAhead < samples.endIndex {
                    // SAFETY: a fetch into the caches reads nothing, wherever it points.
                    unsafe Elements.prefetch(
                        pixels.baseAddress! + samples[index + Self.rowsAhead] &* bytesPerImage, byteCount: bytesPerImage)
                }
                // SAFETY: the sample is in the array, whose memory withUnsafeBufferPointer holds; the target's row is in the batch, which has
                // checked the number of samples and their size.
                let source = unsafe pixels.baseAddress! + samples[index] * bytesPerImage
                unsafe Elements.chosen.scale(source, into: target, count: bytesPerImage)
                unsafe target += bytesPerImage
            }
        }
    }

    public func hash(into hash: inout SHA256) {
        // The number of bytes tells the channels.
        hash.update(data: Array("\(count) \(rows) \(columns) ".utf8))
        hash.update(data: pixels)
        hash.update(data: labels)
    }
}
