internal import Collectives
internal import Gradients
internal import Reduction

/// Turns a rank's part of an averaged gradient, `values`, which are the elements `elements` of parameter `parameter`, into what every rank gets in their place. Called once a
/// step for each part (`GradientExchange.ownedElements`), or piece by piece where a bucket ends in it, one call at a time, on a trainer's thread or on the engine's: it must neither wait nor
/// call the exchange.
public typealias OwnedUpdate = @Sendable (_ parameter: Int, _ elements: Range<Int>, _ values: inout MutableSpan<Float>) -> Void

// Sharing the update: each rank's own stripes of what was reduced.
extension GradientTraffic {
    /// Those of some elements of a section that this rank owns, in order.
    func owned(_ elements: Range<Int>, ofSection section: Int) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        forEachOwned(elements, ofSection: section) { ranges.append($0) }
        return ranges
    }

    private func forEachOwned(_ elements: Range<Int>, ofSection section: Int, _ body: (Range<Int>) -> Void) {
        let topology = communicator.engine.settings.topology
        guard let owner = topology.owner(communicator.rank), !elements.isEmpty else { return }
        let type = layout.sections[section].type
        let first = layout.byteRange(elements, ofSection: section).lowerBound / type.byteCount
        let stripes = Stripes(elements: stripeElements(type), owners: topology.owners, start: first, count: elements.count)
        for index in 0..<stripes.count(of: owner) {
            let stripe = stripes.stripe(index, of: owner)
            body(elements.lowerBound + stripe.lowerBound..<elements.lowerBound + stripe.upperBound)
        }
    }

    /// Has this rank's part of a reduced bucket updated, before it is gathered. Under the lock, so one bucket at a time.
    func updateOwned(_ bucket: BucketPlan.Bucket) {
        // The bytes of use are all ranks' own.
        guard let update, layout.sections[bucket.section].type == .float32 else { return }
        forEachOwned(bucket.elements, ofSection: bucket.section) { stripe in
            for parameter in bucket.parameters {
                let place = layout.places[parameter].elements
                let elements = stripe.clamped(to: place)
                guard !elements.isEmpty else { continue }
                let bytes = layout.byteRange(elements, ofSection: bucket.section)
                // SAFETY: the range is inside the memory, which this object holds; it has been reduced, and is gathered after this.
                let values = unsafe memory.bytes.baseAddress!.advanced(by: bytes.lowerBound).assumingMemoryBound(to: Float.self)
                var span = unsafe MutableSpan(_unsafeStart: values, count: elements.count)
                update(parameter, elements.lowerBound - place.lowerBound..<elements.upperBound - place.lowerBound, &span)
            }
        }
    }
}
