internal import Reduction

// SAFETY (whole file): as `StateMachine+Actions.swift` says of addresses. Encoded messages lie in the lane's gated slots by `Compressed`, and `check` has held
// the residual's range against its buffer.
extension StateMachine {
    /// Where byte `byte` of a lane's gated slots lies in the receive buffers.
    func encodedOffset(_ lane: Int, _ byte: Int) -> Int { layout.gated(lane: lane, slot: 0) + byte }

    /// What `Compressed` does with memory, stripe by stripe, so that what one kernel leaves in the cache the next one finds there.
    mutating func performEncoded(_ action: Action, _ lane: Int) {
        let (window, start): (StripeWindow, Int)
        switch action {
        case .encode(let its, let to): (window, start) = (its, to)
        case .decode(let its, let from): (window, start) = (its, from)
        case .addUp(let sum): (window, start) = (sum.window, sum.result ?? 0)
        default: return
        }
        let stripes = lanes[lane].operation.stripes(in: settings.topology)
        let wire = lanes[lane].operation.wire
        var done = 0
        for index in window.first..<window.first + window.stripes {
            let stripe = stripes.stripe(index, of: window.owner)
            let encoded = unsafe pointer(.encoded(start + done), lane)
            switch action {
            case .encode:
                unsafe Kernels.encode(
                    wire, UnsafeRawPointer(pointer(.input(stripe.lowerBound), lane)), residual: residual(stripe.lowerBound, lane),
                    into: encoded, count: stripe.count)
            case .decode:
                unsafe Kernels.decode(wire, UnsafeRawPointer(encoded), into: pointer(.output(stripe.lowerBound), lane), count: stripe.count)
            case .addUp(let sum): unsafe addUp(sum, stripe, behind: done, into: encoded, lane)
            default: return
            }
            done += wire.byteCount(of: stripe.count)
        }
    }

    private mutating func addUp(
        _ sum: EncodedSum, _ stripe: Range<Int>, behind done: Int, into encoded: UnsafeMutableRawPointer, _ lane: Int
    ) {
        let operation = lanes[lane].operation
        let output = unsafe pointer(.output(stripe.lowerBound), lane)
        if sum.parts > 0 {
            unsafe Kernels.reduce(
                operation.reduction, operation.wire, own: UnsafeRawPointer(pointer(.input(stripe.lowerBound), lane)),
                encoded: UnsafeRawPointer(pointer(.encoded(sum.firstPart + done), lane)), stride: sum.stride, parts: sum.parts,
                into: output, count: stripe.count, ranks: worldSize)
        }
        guard sum.result != nil else { return }
        unsafe Kernels.encode(
            operation.wire, UnsafeRawPointer(output), residual: isMutated(.lostResidual) ? nil : residual(stripe.lowerBound, lane),
            into: encoded, count: stripe.count)
        // As the others see it.
        if isMutated(.unroundedOwner) { return }
        unsafe Kernels.decode(operation.wire, UnsafeRawPointer(encoded), into: output, count: stripe.count)
    }

    private mutating func residual(_ start: Int, _ lane: Int) -> UnsafeMutableRawPointer? {
        guard let residual = lanes[lane].operation.residual else { return nil }
        let first = isMutated(.residualByOperation) ? 0 : lanes[lane].operation.input.byteOffset
        return unsafe buffers[residual.index].region.base + first + start * MemoryLayout<Float>.size
    }
}
