/// A point of a drawing: x to the right, y down.
struct Point {
    var x: Float
    var y: Float

    static func + (left: Point, right: Point) -> Point { Point(x: left.x + right.x, y: left.y + right.y) }
    static func * (point: Point, factor: Float) -> Point { Point(x: point.x * factor, y: point.y * factor) }
}

/// One stroke of a pen: cubic Bezier curves, each beginning where the last one ended.
/// Holds 3n + 1 points: a beginning, then two control points and an end for each curve.
struct Stroke {
    var points: [Point]

    init(_ x: Float, _ y: Float) { points = [Point(x: x, y: y)] }

    /// A straight line to (x, y).
    func line(_ x: Float, _ y: Float) -> Stroke {
        let start = points[points.count - 1]
        let step = Point(x: (x - start.x) / 3, y: (y - start.y) / 3)
        return curve(start.x + step.x, start.y + step.y, start.x + 2 * step.x, start.y + 2 * step.y, x, y)
    }

    /// A curve to (x, y) that leaves towards (ax, ay) and arrives from (bx, by).
    func curve(_ ax: Float, _ ay: Float, _ bx: Float, _ by: Float, _ x: Float, _ y: Float) -> Stroke {
        var longer = self
        longer.points += [Point(x: ax, y: ay), Point(x: bx, y: by), Point(x: x, y: y)]
        return longer
    }

    /// An ellipse from its top, counterclockwise, as people write it.
    static func ellipse(_ x: Float, _ y: Float, _ width: Float, _ height: Float) -> Stroke {
        // The distance of control points at which four cubics come closest to a circle.
        let handle: Float = 0.5523
        return Stroke(x, y - height)
            .curve(x - handle * width, y - height, x - width, y - handle * height, x - width, y)
            .curve(x - width, y + handle * height, x - handle * width, y + height, x, y + height)
            .curve(x + handle * width, y + height, x + width, y + handle * height, x + width, y)
            .curve(x + width, y - handle * height, x + handle * width, y - height, x, y - height)
    }

    /// The stroke as straight segments' ends, `segmentsPerCurve` for each curve.
    func flattened(segmentsPerCurve: Int) -> [Point] {
        var line = [points[0]]
        for start in stride(from: 0, to: points.count - 1, by: 3) {
            for step in 1...segmentsPerCurve {
                let t = Float(step) / Float(segmentsPerCurve)
                let s = 1 - t
                line.append(
                    points[start] * (s * s * s) + points[start + 1] * (3 * s * s * t)
                        + points[start + 2] * (3 * s * t * t) + points[start + 3] * (t * t * t))
            }
        }
        return line
    }
}

/// How the ten digits are written, each in one or more manners, in a box from (0, 0) to (1, 1).
enum Glyphs {
    static let manners: [[[Stroke]]] = [
        [[.ellipse(0.5, 0.5, 0.38, 0.5)], [.ellipse(0.5, 0.5, 0.28, 0.5)]],
        [
            [Stroke(0.5, 0).line(0.5, 1)],
            [Stroke(0.25, 0.25).line(0.52, 0).line(0.52, 1)],
            [Stroke(0.28, 0.22).line(0.5, 0).line(0.5, 1), Stroke(0.22, 1).line(0.78, 1)],
        ],
        [
            [Stroke(0.12, 0.25).curve(0.15, -0.08, 0.88, -0.08, 0.86, 0.28).curve(0.84, 0.55, 0.4, 0.7, 0.1, 1).line(0.92, 1)],
            [
                Stroke(0.12, 0.2).curve(0.3, -0.1, 0.9, -0.05, 0.8, 0.35).curve(0.7, 0.7, 0.1, 1.15, 0.15, 0.9)
                    .curve(0.2, 0.7, 0.6, 1.05, 0.95, 0.92)
            ],
        ],
        [
            [
                Stroke(0.15, 0.12).curve(0.4, -0.1, 0.95, 0, 0.82, 0.3).curve(0.75, 0.48, 0.55, 0.47, 0.4, 0.47)
                    .curve(0.75, 0.45, 0.95, 0.6, 0.87, 0.78).curve(0.75, 1.08, 0.3, 1.05, 0.1, 0.87)
            ],
            [
                Stroke(0.12, 0).line(0.85, 0).line(0.42, 0.4).curve(0.75, 0.38, 0.95, 0.55, 0.87, 0.76).curve(
                    0.75, 1.08, 0.3, 1.05, 0.1, 0.87)
            ],
        ],
        [
            [Stroke(0.62, 0).line(0.08, 0.66).line(0.94, 0.66), Stroke(0.68, 0.3).line(0.68, 1)],
            [Stroke(0.2, 0).line(0.14, 0.52).line(0.84, 0.52), Stroke(0.8, 0).line(0.78, 1)],
        ],
        [
            [Stroke(0.85, 0).line(0.25, 0).line(0.2, 0.45).curve(0.5, 0.3, 0.9, 0.4, 0.88, 0.7).curve(0.85, 1.08, 0.3, 1.08, 0.1, 0.85)],
            [
                Stroke(0.3, 0).line(0.22, 0.42).curve(0.6, 0.33, 0.95, 0.5, 0.84, 0.78).curve(0.72, 1.05, 0.3, 1.05, 0.12, 0.9),
                Stroke(0.3, 0.02).line(0.85, 0),
            ],
        ],
        [
            [Stroke(0.75, 0.02).curve(0.4, 0.1, 0.12, 0.4, 0.13, 0.72), .ellipse(0.5, 0.72, 0.36, 0.28)],
            [Stroke(0.6, 0).curve(0.2, 0.3, 0, 1, 0.45, 1).curve(0.9, 1, 0.95, 0.55, 0.55, 0.55).curve(0.35, 0.55, 0.2, 0.7, 0.18, 0.82)],
        ],
        [
            [Stroke(0.1, 0).line(0.9, 0).line(0.4, 1)],
            [Stroke(0.1, 0).line(0.9, 0).line(0.4, 1), Stroke(0.3, 0.5).line(0.8, 0.5)],
            [Stroke(0.1, 0.12).curve(0.3, -0.05, 0.6, 0.1, 0.9, 0).curve(0.6, 0.4, 0.5, 0.7, 0.48, 1)],
        ],
        [
            [.ellipse(0.5, 0.25, 0.3, 0.25), .ellipse(0.5, 0.74, 0.37, 0.27)],
            [
                Stroke(0.82, 0.12).curve(0.5, -0.12, 0.05, 0.05, 0.25, 0.35).curve(0.4, 0.55, 0.85, 0.55, 0.85, 0.78)
                    .curve(0.85, 1.08, 0.1, 1.08, 0.15, 0.75).curve(0.2, 0.5, 0.75, 0.5, 0.82, 0.12)
            ],
        ],
        [
            [.ellipse(0.48, 0.3, 0.35, 0.29), Stroke(0.84, 0.28).curve(0.85, 0.6, 0.75, 0.85, 0.55, 1)],
            [.ellipse(0.48, 0.28, 0.34, 0.28), Stroke(0.82, 0.25).line(0.76, 1)],
        ],
    ]
}
