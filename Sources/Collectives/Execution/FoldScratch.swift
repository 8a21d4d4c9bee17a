/// Lists of addresses for the kernels, made once. Belongs to the executor's thread.
// SAFETY: the lists live as long as this object; what they hold is valid during one action.
@safe
final class FoldScratch {
    let sources: UnsafeMutableBufferPointer<UnsafeRawPointer>
    let destinations: UnsafeMutableBufferPointer<UnsafeMutableRawPointer>

    init(capacity: Int) {
        unsafe sources = .allocate(capacity: capacity)
        unsafe destinations = .allocate(capacity: capacity)
    }

    deinit {
        unsafe sources.deallocate()
        unsafe destinations.deallocate()
    }
}
