public import Reduction

/// Where each gradient lies in the exchange's memory. A pure value, the same on every rank, that never changes: plans may.
///
/// All gradients lie in one piece of memory, which has one *section* for each element type. Backprop makes gradients from the last parameter to the
/// first, so a section holds them in reverse order: what is ready together lies together. Each gradient begins on a cache line, so no two are ever
/// written by one store; the padding is zero and stays so.
///
/// Where ranks tell each other which parameters they used, a byte for each parameter lies in a section of its own, as one more parameter.
public struct GradientLayout: Sendable, Equatable {
    /// Where gradients begin, in bytes.
    public static let alignment = 64
    /// A section may be cut into buckets at multiples of so many of its elements.
    public static let granule = 256
    /// Where sections begin, in bytes: so that a multiple of `granule` in a section is one in the memory, for every type.
    static let sectionAlignment = granule * 8

    public struct Section: Sendable, Equatable {
        public let type: ElementType
        /// Where it begins in the memory.
        public let byteOffset: Int
        /// Padding between gradients included.
        public fileprivate(set) var elementCount = 0
        /// In the order in which they lie there; those without elements are left out.
        public fileprivate(set) var parameters: [Int] = []
    }

    /// In forward order; behind the model's own the bytes of use, where there are such.
    public let parameters: [ParameterLayout]
    public let sections: [Section]
    /// By parameter: its section, and where in it its elements lie.
    public let places: [(section: Int, elements: Range<Int>)]
    /// Of the whole memory, padding included.
    public let byteCount: Int
    /// The parameter that holds a byte for each of the model's: whether the rank used it.
    public let useIndex: Int?

    /// - Parameters:
    ///   - parameters: in forward order.
    ///   - tracksUse: whether ranks tell each other which parameters they used.
    public init(parameters: [ParameterLayout], tracksUse: Bool = false) {
        useIndex = tracksUse ? parameters.count : nil
        let use = ParameterLayout(name: "use of parameters", elementCount: parameters.count, type: .uint8)
        let parameters = parameters + (tracksUse ? [use] : [])
        var sections: [Section] = []
        var places = Array(repeating: (section: 0, elements: 0..<0), count: parameters.count)
        var end = 0
        var seen: [ElementType] = []
        for type in parameters.reversed().map(\.type) where !seen.contains(type) {
            seen.append(type)
            var section = Section(type: type, byteOffset: Self.rounded(end, to: Self.sectionAlignment))
            for index in parameters.indices.reversed() where parameters[index].type == type {
                let first = section.elementCount
                places[index] = (sections.count, first..<first + parameters[index].elementCount)
                section.elementCount = Self.rounded(places[index].elements.upperBound, to: Self.alignment / type.byteCount)
                if parameters[index].elementCount > 0 { section.parameters.append(index) }
            }
            end = section.byteOffset + section.elementCount * type.byteCount
            sections.append(section)
        }
        self.parameters = parameters
        self.sections = sections
        self.places = places
        byteCount = end
    }

    /// The model's own.
    public var parameterCount: Int { useIndex ?? parameters.count }

    /// Where a parameter's gradient lies in the memory.
    public func byteRange(ofParameter index: Int) -> Range<Int> { byteRange(places[index].elements, ofSection: places[index].section) }

    public func byteRange(_ elements: Range<Int>, ofSection index: Int) -> Range<Int> {
        let section = sections[index]
        let size = section.type.byteCount
        return section.byteOffset + elements.lowerBound * size..<section.byteOffset + elements.upperBound * size
    }

    private static func rounded(_ value: Int, to step: Int) -> Int { (value + step - 1) / step * step }

    public static func == (left: GradientLayout, right: GradientLayout) -> Bool {
        left.parameters == right.parameters && left.useIndex == right.useIndex
    }
}

// MARK: agreement

extension GradientLayout {
    /// Everything that ranks must agree on: one line for what is chosen, then one a parameter.
    public func manifest(_ choices: String) -> [UInt8] {
        var text = "\(parameterCount) parameters, \(choices)"
        for (index, parameter) in parameters.enumerated() {
            text += "\nparameter \(index) '\(parameter.name)' of \(parameter.elementCount) \(parameter.type)"
        }
        return Array(text.utf8)
    }

    /// The first line in which the ranks' manifests differ, said so that both sides can be found; nil where all agree.
    public static func difference(_ manifests: [[UInt8]]) -> (rank: Int, detail: String)? {
        guard let reference = manifests.first, let rank = manifests.firstIndex(where: { $0 != reference }) else { return nil }
        func lines(_ bytes: [UInt8]) -> [Substring] { String(decoding: bytes, as: UTF8.self).split(separator: "\n") }
        let (ours, theirs) = (lines(reference), lines(manifests[rank]))
        // The headline says only how many; the first parameter that differs says more.
        let line = (1..<max(ours.count, theirs.count)).first { $0 >= ours.count || $0 >= theirs.count || ours[$0] != theirs[$0] } ?? 0
        let left = line < ours.count ? String(ours[line]) : "nothing more"
        let right = line < theirs.count ? String(theirs[line]) : "nothing more"
        return (rank, "rank 0 has \(left), rank \(rank) has \(right)")
    }
}
