/// Drawn digits, 28 x 28, for machines without a data set.
///
/// Each image is a digit in one of its manners of writing, its points jittered, then slanted, turned, scaled and moved, drawn
/// with a pen of some thickness and ink, with noise and now and then a stray stroke. Image i depends on seed and i alone.
/// The same seed gives the same bytes on every machine: only the four basic operations and the square root are used, which
/// IEEE 754 defines to the last bit, and Swift neither reorders nor fuses them.
public enum GeneratedDigits {
    public static let side = 28

    /// Images 0 ..< trainingCount to learn from, the next `heldOutCount` held out. Both must be positive.
    public static func split(seed: UInt64, trainingCount: Int = 5000, heldOutCount: Int = 1000) -> DataSplit {
        DataSplit(
            training: images(seed: seed, range: 0..<trainingCount),
            heldOut: images(seed: seed, range: trainingCount..<trainingCount + heldOutCount),
            origin: "generated digits of seed \(seed): \(trainingCount), held out \(heldOutCount)")
    }

    static func images(seed: UInt64, range: Range<Int>) -> ImageDataset {
        var pixels: [UInt8] = []
        pixels.reserveCapacity(range.count * side * side)
        var labels: [UInt8] = []
        for index in range {
            var generator = SeededGenerator(seed: seed, purpose: .digits, index: UInt64(index))
            let label = generator.below(ImageDataset.classCount)
            labels.append(UInt8(label))
            pixels += image(of: label, &generator)
        }
        return ImageDataset(rows: side, columns: side, pixels: pixels, labels: labels)
    }

    private static func image(of digit: Int, _ generator: inout SeededGenerator) -> [UInt8] {
        let manners = Glyphs.manners[digit]
        let placement = Placement(&generator)
        var canvas = Canvas(side: side, halfThickness: generator.uniform(0.5, 1.6))
        for stroke in manners[generator.below(manners.count)] {
            var stroke = stroke
            for index in stroke.points.indices {
                let jitter = Point(x: generator.uniform(-0.06, 0.06), y: generator.uniform(-0.06, 0.06))
                stroke.points[index] = placement.apply(to: stroke.points[index] + jitter)
            }
            canvas.draw(stroke.flattened(segmentsPerCurve: 6))
        }
        if generator.below(4) == 0 { canvas.draw(strayStroke(&generator)) }
        return canvas.developed(ink: generator.uniform(0.55, 1), noise: generator.uniform(0.02, 0.2), &generator)
    }

    /// A short straight line anywhere.
    private static func strayStroke(_ generator: inout SeededGenerator) -> [Point] {
        let edge = Float(side)
        let start = Point(x: generator.uniform(0, edge), y: generator.uniform(0, edge))
        return [start, start + Point(x: generator.uniform(-6, 6), y: generator.uniform(-6, 6))]
    }
}

/// Takes the unit box of a glyph to the pixels of an image: slant, turn, scale, move.
private struct Placement {
    let (xx, xy, yx, yy): (Float, Float, Float, Float)
    let centre: Point

    init(_ generator: inout SeededGenerator) {
        // Half the angle's tangent gives sine and cosine without trigonometry; 0.17 is a turn of 19 degrees.
        let t = generator.uniform(-0.17, 0.17)
        let cosine = (1 - t * t) / (1 + t * t)
        let sine = 2 * t / (1 + t * t)
        let slant = generator.uniform(-0.25, 0.25)
        let width = generator.uniform(10, 19)
        let height = generator.uniform(14, 22)
        xx = cosine * width
        xy = (-cosine * slant - sine) * height
        yx = sine * width
        yy = (-sine * slant + cosine) * height
        let middle = Float(GeneratedDigits.side) / 2
        centre = Point(x: middle + generator.uniform(-2, 2), y: middle + generator.uniform(-2, 2))
    }

    func apply(to point: Point) -> Point {
        let (x, y) = (point.x - 0.5, point.y - 0.5)
        return centre + Point(x: xx * x + xy * y, y: yx * x + yy * y)
    }
}

/// A square of grey, 0...1, on which a round pen draws.
private struct Canvas {
    let side: Int
    let halfThickness: Float
    private var grey: [Float]

    init(side: Int, halfThickness: Float) {
        self.side = side
        self.halfThickness = halfThickness
        grey = [Float](repeating: 0, count: side * side)
    }

    mutating func draw(_ line: [Point]) {
        for (start, end) in zip(line, line.dropFirst()) { drawSegment(start, end) }
    }

    /// Darkens the pixels within the pen's reach of the segment; the edge is one pixel soft.
    private mutating func drawSegment(_ start: Point, _ end: Point) {
        let reach = halfThickness + 0.5
        let columns = pixels(from: min(start.x, end.x) - reach, to: max(start.x, end.x) + reach)
        let rows = pixels(from: min(start.y, end.y) - reach, to: max(start.y, end.y) + reach)
        let (dx, dy) = (end.x - start.x, end.y - start.y)
        let squaredLength = dx * dx + dy * dy
        for row in rows {
            for column in columns {
                let (px, py) = (Float(column) + 0.5 - start.x, Float(row) + 0.5 - start.y)
                let along = squaredLength > 0 ? min(max((px * dx + py * dy) / squaredLength, 0), 1) : 0
                let (ox, oy) = (px - along * dx, py - along * dy)
                let darkness = min(max(reach - (ox * ox + oy * oy).squareRoot(), 0), 1)
                grey[row * side + column] = max(grey[row * side + column], darkness)
            }
        }
    }

    /// The pixels of one axis whose centres may lie between two coordinates.
    private func pixels(from low: Float, to high: Float) -> Range<Int> {
        let edge = Float(side)
        let first = Int(min(max(low, 0), edge))
        return first..<max(first, Int(min(max(high + 1, 0), edge)))
    }

    /// The image in bytes, with `ink` at its darkest and about normal noise of that deviation, cut at 0 and 255.
    func developed(ink: Float, noise: Float, _ generator: inout SeededGenerator) -> [UInt8] {
        grey.map { value in
            let level = value * ink + noise * Self.aboutNormal(generator.next())
            return UInt8(min(max(level, 0), 1) * 255)
        }
    }

    /// The sum of four uniform numbers from one word, shifted and scaled to mean 0 and deviation 1.
    private static func aboutNormal(_ word: UInt64) -> Float {
        let sum = (word & 0xFFFF) + (word >> 16 & 0xFFFF) + (word >> 32 & 0xFFFF) + (word >> 48)
        // Four times the mean of 0...65535; the deviation of the sum is 65536 / sqrt(3).
        return (Float(sum) - 131_070) / 37_837
    }
}
