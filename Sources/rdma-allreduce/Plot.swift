import CommandLineSupport
import Foundation

/// Bus bandwidth over size, as SVG: a line for each type, reduction and root, in both places.
struct Plot {
    struct Line {
        var name: String
        var isInPlace: Bool
        /// Bytes and GB/s.
        var points: [(bytes: Int, bandwidth: Double)]
    }

    var title: String
    var lines: [Line]

    // Units of the picture.
    private static let width = 880.0
    private static let left = 70.0
    private static let right = 640.0
    private static let top = 50.0
    private static let bottom = 420.0
    private static let legendStep = 18.0
    private static let maxSizeLabels = 12
    private static let gridColor = "#dddddd"
    /// One for each type. The first seven differ for the colour-blind too (Okabe and Ito).
    private static let colors = [
        "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c564b", "#7f7f7f", "#6a3d9a", "#bcbd22", "#b2182b",
    ]

    init(_ report: Report) {
        let own = report.verbena
        title = "\(own.collective), \(own.ranks) ranks, \(own.fabric) (\(own.device))"
        var names: [String] = []
        var rows: [String: [Row]] = [:]
        for row in report.results {
            let parts = [row.type, row.redop == "none" ? nil : row.redop, row.root < 0 ? nil : "root \(row.root)"]
            let name = parts.compactMap(\.self).joined(separator: " ")
            if rows[name] == nil { names.append(name) }
            rows[name, default: []].append(row)
        }
        lines = names.flatMap { name in
            [false, true].map { isInPlace in
                // A logarithmic axis has no place for 0.
                let measured = (rows[name] ?? []).filter { $0.bytes > 0 }.sorted { $0.bytes < $1.bytes }  // More than once with -N.
                let points = measured.map { row in
                    (bytes: row.bytes, bandwidth: (isInPlace ? row.inPlace : row.outOfPlace).busBandwidth)
                }
                return Line(name: name, isInPlace: isInPlace, points: points)
            }
        }
    }

    var svg: String {
        let height = max(480, Self.top + Self.legendStep * Double(lines.count + 1))
        let body =
            [
                element("title", [:], title),
                element("rect", ["width": "100%", "height": "100%", "fill": "white"]),
                element("text", ["x": number(Self.left), "y": "28", "font-size": "16"], "Bus bandwidth: \(title)"),
            ] + sizeAxis() + bandwidthAxis() + lines.indices.flatMap(drawn)
        return """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(number(Self.width))" height="\(number(height))" \
            font-family="sans-serif" font-size="12">
            \(body.joined(separator: "\n"))
            </svg>

            """
    }

    // MARK: axes

    /// The powers of two on the axis: from the one at or below the least size to the one at or above the most.
    var exponents: ClosedRange<Int> {
        let sizes = lines.flatMap { $0.points.map(\.bytes) }
        guard let least = sizes.min(), let most = sizes.max() else { return 0...1 }
        let first = Int.bitWidth - 1 - least.leadingZeroBitCount
        let last = most == 1 << (Int.bitWidth - 1 - most.leadingZeroBitCount) ? 0 : 1
        return first...max(first + 1, Int.bitWidth - 1 - most.leadingZeroBitCount + last)
    }

    /// The marks of the axis of bandwidth, from 0 to at least the largest: 1, 2 or 5 times a power of ten apart.
    static func marks(upTo largest: Double) -> [Double] {
        guard largest > 0, largest.isFinite else { return [0, 1] }
        let rough = largest / 5
        let power = pow(10, floor(log10(rough)))
        let step = power * ([1, 2, 5].first { rough <= $0 * power } ?? 10)
        return (0...Int((largest / step).rounded(.up))).map { Double($0) * step }
    }

    private var marks: [Double] { Self.marks(upTo: lines.flatMap { $0.points.map(\.bandwidth) }.max() ?? 0) }

    private func x(_ bytes: Int) -> Double {
        let range = exponents
        let share = (log2(Double(bytes)) - Double(range.lowerBound)) / Double(range.count - 1)
        return Self.left + share * (Self.right - Self.left)
    }

    private func y(_ bandwidth: Double) -> Double {
        Self.bottom - bandwidth / (marks.last ?? 1) * (Self.bottom - Self.top)
    }

    private func sizeAxis() -> [String] {
        let range = exponents
        let every = (range.count + Self.maxSizeLabels - 1) / Self.maxSizeLabels
        let labels = range.filter { ($0 - range.lowerBound) % every == 0 }.flatMap { exponent in
            let place = x(1 << exponent)
            return [
                straight(from: (place, Self.top), to: (place, Self.bottom), ["stroke": Self.gridColor]),
                text(ByteCount(1 << exponent).defaultValueDescription, at: (place, Self.bottom + 18), "middle"),
            ]
        }
        return labels + [text("Size (bytes)", at: ((Self.left + Self.right) / 2, Self.bottom + 40), "middle")]
    }

    private func bandwidthAxis() -> [String] {
        let labels = marks.flatMap { mark in
            [
                straight(from: (Self.left, y(mark)), to: (Self.right, y(mark)), ["stroke": Self.gridColor]),
                text(String(format: "%g", mark), at: (Self.left - 8, y(mark) + 4), "end"),
            ]
        }
        let middle = number((Self.top + Self.bottom) / 2)
        return labels + [
            element("text", ["transform": "translate(20 \(middle)) rotate(-90)", "text-anchor": "middle"], "Bus bandwidth (GB/s)")
        ]
    }

    // MARK: lines

    /// A line with a dot for each size, and its name beside the picture; in place it is dashed.
    private func drawn(_ index: Int) -> [String] {
        let line = lines[index]
        let color = Self.colors[index / 2 % Self.colors.count]
        let style = ["stroke": color, "stroke-width": "1.5", "stroke-dasharray": line.isInPlace ? "6 4" : "none"]
        let corners = line.points.map { "\(number(x($0.bytes))),\(number(y($0.bandwidth)))" }.joined(separator: " ")
        let dots = line.points.map {
            element("circle", ["cx": number(x($0.bytes)), "cy": number(y($0.bandwidth)), "r": "2.5", "fill": color])
        }
        let level = Self.top + Self.legendStep * Double(index) + 8
        let edge = Self.right + 16
        return [element("polyline", style.merging(["points": corners, "fill": "none"]) { $1 })] + dots + [
            straight(from: (edge, level), to: (edge + 24, level), style),
            text("\(line.name), \(line.isInPlace ? "in place" : "out of place")", at: (edge + 30, level + 4), "start"),
        ]
    }

    // MARK: elements

    private func straight(from start: (x: Double, y: Double), to end: (x: Double, y: Double), _ style: [String: String]) -> String {
        let ends = ["x1": number(start.x), "y1": number(start.y), "x2": number(end.x), "y2": number(end.y)]
        return element("line", ends.merging(style) { $1 })
    }

    private func text(_ text: String, at place: (x: Double, y: Double), _ anchor: String) -> String {
        element("text", ["x": number(place.x), "y": number(place.y), "text-anchor": anchor], text)
    }

    /// Attributes in the order of their names, so that the same run gives the same file.
    private func element(_ name: String, _ attributes: [String: String], _ text: String? = nil) -> String {
        let pairs = attributes.sorted { $0.key < $1.key }.map { " \($0.key)=\"\(Self.escaped($0.value))\"" }.joined()
        return text.map { "<\(name)\(pairs)>\(Self.escaped($0))</\(name)>" } ?? "<\(name)\(pairs)/>"
    }

    private func number(_ value: Double) -> String { String(format: "%.1f", value) }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;").replacing("\"", with: "&quot;")
    }
}
