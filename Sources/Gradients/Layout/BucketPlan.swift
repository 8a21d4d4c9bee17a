/// One parameter of a model as the exchange sees it: a name for messages and the number of its fp32 elements.
public struct ParameterLayout: Sendable, Equatable {
    public var name: String
    public var elementCount: Int

    public init(name: String, elementCount: Int) {
        self.name = name
        self.elementCount = elementCount
    }
}

/// Where each gradient lies in the exchange's memory, and which gradients travel together. A pure value, the same on every rank.
///
/// Backprop makes gradients from the last parameter to the first, so buckets are filled in reverse order: the first bucket
/// is full while most of backprop is still to come. All buckets lie in one piece of memory, bucket 0 first; each gradient
/// begins on a cache line, so no two are ever written by one store; the padding is zero and stays so.
public struct BucketPlan: Sendable, Equatable {
    /// Elements between the beginnings of gradients: 64 bytes of fp32.
    public static let alignment = 16

    public struct Bucket: Sendable, Equatable {
        /// In elements of the whole memory.
        public var range: Range<Int>
        /// Indices of its parameters.
        public var parameters: [Int]
    }

    public let parameters: [ParameterLayout]
    public let buckets: [Bucket]
    /// First element of each parameter's gradient, by parameter index.
    public let offsets: [Int]
    /// Which bucket each parameter is in.
    public let bucketOfParameter: [Int]

    /// - Parameters:
    ///   - parameters: in forward order.
    ///   - bucketBytes: a bucket is closed before it would exceed this; a larger parameter has a bucket of its own.
    public init(parameters: [ParameterLayout], bucketBytes: Int) {
        self.parameters = parameters
        var offsets = Array(repeating: 0, count: parameters.count)
        var owners = offsets
        var buckets: [Bucket] = []
        var next = 0
        for index in parameters.indices.reversed() {
            let size = (parameters[index].elementCount + Self.alignment - 1) / Self.alignment * Self.alignment
            let fits = buckets.last.map { ($0.range.count + size) * MemoryLayout<Float>.stride <= bucketBytes } ?? false
            if !fits { buckets.append(Bucket(range: next..<next, parameters: [])) }
            offsets[index] = next
            owners[index] = buckets.count - 1
            next += size
            buckets[buckets.count - 1].range = buckets[buckets.count - 1].range.lowerBound..<next
            buckets[buckets.count - 1].parameters.append(index)
        }
        self.offsets = offsets
        self.buckets = buckets
        bucketOfParameter = owners
    }

    /// Of the whole memory, padding included.
    public var elementCount: Int { buckets.last?.range.upperBound ?? 0 }

    // MARK: agreement

    /// Everything that ranks must agree on, one line a parameter.
    public var manifest: [UInt8] {
        var text = "\(parameters.count) parameters in \(buckets.count) buckets"
        for index in parameters.indices {
            text +=
                "\nparameter \(index) '\(parameters[index].name)' of \(parameters[index].elementCount) in bucket \(bucketOfParameter[index])"
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
