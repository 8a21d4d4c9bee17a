public import Reduction

/// Which gradients travel together, in what order, and how: cut points over a `GradientLayout`. A pure value, the same on every rank in every step.
///
/// A cut may be at any multiple of `GradientLayout.granule`, in the middle of a parameter, too: a bucket is ready when every parameter that it
/// overlaps is. Which cuts there are changes no bit of the result.
public struct BucketPlan: Sendable, Equatable {
    public struct Bucket: Sendable, Equatable {
        public let section: Int
        /// Of the section.
        public let elements: Range<Int>
        /// Those that it overlaps, in the order in which they lie in it.
        public let parameters: [Int]
        /// Travels in a stream of its own, which overtakes the others.
        public var isUrgent = false
    }

    /// In the order of backprop.
    public private(set) var buckets: [Bucket]
    public let schedule: GradientSettings.Schedule
    /// How fp32 elements travel.
    public let wire: WireFormat
    /// By parameter: the buckets that hold a part of it, ascending.
    public let bucketsOfParameter: [[Int]]
    /// In the order of the next forward pass.
    public let forwardOrder: [Int]

    /// - Parameters:
    ///   - cuts: by section, in elements; those outside it, and those that are no multiple of the granule, are left out.
    ///   - urgentBelow: buckets that hold a part of a parameter below this are urgent.
    public init(
        _ layout: GradientLayout, cuts: [[Int]], schedule: GradientSettings.Schedule = .allReduce, urgentBelow: Int = 0,
        wire: WireFormat = .plain
    ) {
        var buckets: [Bucket] = []
        for (index, section) in layout.sections.enumerated() where section.elementCount > 0 {
            let inside = cuts[index].filter { 0 < $0 && $0 < section.elementCount && $0.isMultiple(of: GradientLayout.granule) }
            let ends = Set(inside).sorted() + [section.elementCount]
            var (start, first) = (0, 0)
            for end in ends {
                while layout.places[section.parameters[first]].elements.upperBound <= start { first += 1 }
                let parameters = section.parameters[first...].prefix { layout.places[$0].elements.lowerBound < end }
                buckets.append(Bucket(section: index, elements: start..<end, parameters: Array(parameters)))
                start = end
            }
        }
        // The lowest parameter is the last to be ready. What was used is known after all of them.
        func key(_ bucket: Bucket) -> Int { bucket.parameters[0] == layout.useIndex ? -1 : bucket.parameters.last ?? -1 }
        buckets = buckets.enumerated().sorted { (-key($0.element), $0.offset) < (-key($1.element), $1.offset) }.map(\.element)
        for index in buckets.indices { buckets[index].isUrgent = buckets[index].parameters.contains { $0 < urgentBelow } }
        self.buckets = buckets
        self.schedule = schedule
        self.wire = wire
        var owners = Array(repeating: [Int](), count: layout.parameters.count)
        for (index, bucket) in buckets.enumerated() { for parameter in bucket.parameters { owners[parameter].append(index) } }
        bucketsOfParameter = owners
        // The lowest parameter in it is the first that the forward pass waits for.
        func lowest(_ index: Int) -> Int { buckets[index].parameters.min() ?? 0 }
        forwardOrder = buckets.indices.sorted { (lowest($0), -$0) < (lowest($1), -$1) }
    }

    /// In bytes, padding included.
    public func byteCount(of bucket: Int, in layout: GradientLayout) -> Int {
        buckets[bucket].elements.count * layout.sections[buckets[bucket].section].type.byteCount
    }
}

// MARK: rules

extension BucketPlan {
    /// Buckets of one size: a cut every so many bytes, wherever that is.
    /// - Parameter bucketBytes: rounded down to whole granules, but for the first.
    public init(
        _ layout: GradientLayout, bucketBytes: Int, schedule: GradientSettings.Schedule = .allReduce, wire: WireFormat = .plain
    ) {
        let cuts = layout.sections.map { section in
            let granules = max(1, bucketBytes / section.type.byteCount / GradientLayout.granule)
            return Array(stride(from: 0, to: section.elementCount, by: granules * GradientLayout.granule))
        }
        self.init(layout, cuts: cuts, schedule: schedule, wire: wire)
    }

    /// PyTorch DDP's rule, to compare with: whole parameters are put together until a bucket has 1 MiB, the first one, or 25 MiB, all others.
    public init(ddpRuleFor layout: GradientLayout, schedule: GradientSettings.Schedule = .allReduce, wire: WireFormat = .plain) {
        let cuts = layout.sections.map { section in
            var (cuts, start, limit) = ([Int](), 0, 1 << 20)
            for parameter in section.parameters {
                let end = layout.places[parameter].elements.upperBound
                guard (end - start) * section.type.byteCount >= limit else { continue }
                // What is left of the last granule goes with the next bucket.
                (start, limit) = (end / GradientLayout.granule * GradientLayout.granule, 25 << 20)
                cuts.append(start)
            }
            return cuts
        }
        self.init(layout, cuts: cuts, schedule: schedule, wire: wire)
    }
}
