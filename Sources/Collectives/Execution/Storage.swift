internal import Reduction

/// Memory of one element type, freed with the last who holds it.
// SAFETY: allocated in `init`, freed in `deinit`.
@safe
@usableFromInline
final class Storage<Element> {
    let base: UnsafeMutablePointer<Element>
    private let count: Int

    init(_ elements: [Element]) {
        count = elements.count
        unsafe base = .allocate(capacity: max(1, count))
        for index in elements.indices { unsafe (base + index).initialize(to: elements[index]) }
    }

    deinit {
        unsafe base.deinitialize(count: count)
        unsafe base.deallocate()
    }
}
