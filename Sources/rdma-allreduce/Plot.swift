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
    private static let grid = "stroke=\"#dddddd\""
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
        let title = Self.escaped(title)
        return """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(Self.width)" height="\(height)" font-family="sans-serif" font-size="12">
            <title>\(title)</title>
            <rect width="100%" height="100%" fill="white"/>
            <text x="\(Self.left)" y="28" font-size="16">Bus bandwidth: \(title)</text>
            \((axes + lines.indices.flatMap(drawn)).joined(separator: "\n"))
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

    /// A grid of both, with their figures.
    private var axes: [String] {
        let range = exponents
        let every = (range.count + Self.maxSizeLabels - 1) / Self.maxSizeLabels
        let sizes = range.filter { ($0 - range.lowerBound) % every == 0 }.flatMap { exponent in
            let place = x(1 << exponent)
            return [
                straight(from: (place, Self.top), to: (place, Self.bottom), Self.grid),
                text(ByteCount(1 << exponent).defaultValueDescription, at: (place, Self.bottom + 18), "middle"),
            ]
        }
        let bandwidths = marks.flatMap { mark in
            [
                straight(from: (Self.left, y(mark)), to: (Self.right, y(mark)), Self.grid),
                text(String(format: "%g", mark), at: (Self.left - 8, y(mark) + 4), "end"),
            ]
        }
        let names = [
            text("Size (bytes)", at: ((Self.left + Self.right) / 2, Self.bottom + 40), "middle"),
            text("Bus bandwidth (GB/s)", at: (20, (Self.top + Self.bottom) / 2), "middle", turned: true),
        ]
        return sizes + bandwidths + names
    }

    // MARK: lines

    /// A line with a dot for each size, and its name beside the picture; in place it is dashed.
    private func drawn(_ index: Int) -> [String] {
        let line = lines[index]
        let color = Self.colors[index / 2 % Self.colors.count]
        let style = "stroke=\"\(color)\" stroke-width=\"1.5\"" + (line.isInPlace ? " stroke-dasharray=\"6 4\"" : "")
        let corners = line.points.map { "\(number(x($0.bytes))),\(number(y($0.bandwidth)))" }
        let dots = line.points.map {
            "<circle cx=\"\(number(x($0.bytes)))\" cy=\"\(number(y($0.bandwidth)))\" r=\"2.5\" fill=\"\(color)\"/>"
        }
        let level = Self.top + Self.legendStep * Double(index) + 8
        let edge = Self.right + 16
        return ["<polyline points=\"\(corners.joined(separator: " "))\" fill=\"none\" \(style)/>"] + dots + [
            straight(from: (edge, level), to: (edge + 24, level), style),
            text("\(line.name), \(line.isInPlace ? "in place" : "out of place")", at: (edge + 30, level + 4), "start"),
        ]
    }

    // MARK: elements

    private func straight(from start: (x: Double, y: Double), to end: (x: Double, y: Double), _ style: String) -> String {
        "<line x1=\"\(number(start.x))\" y1=\"\(number(start.y))\" x2=\"\(number(end.x))\" y2=\"\(number(end.y))\" \(style)/>"
    }

    private func text(_ text: String, at place: (x: Double, y: Double), _ anchor: String, turned: Bool = false) -> String {
        let turn = turned ? " rotate(-90)" : ""
        return
            "<text transform=\"translate(\(number(place.x)) \(number(place.y)))\(turn)\" text-anchor=\"\(anchor)\">\(Self.escaped(text))</text>"
    }

    private func number(_ value: Double) -> String { String(format: "%.1f", value) }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }
}
