import Verbena

// What an optimizer remembers, as checkpoints have it: of whole parameters, though ranks may share the update and each remember its part.
extension Optimizer {
    /// On rank 0 by parameter what all ranks together remember; its own memory, where it has it all. Collective, between two steps.
    /// - Returns: on other ranks that share the update, nothing.
    func gatherStates(_ communicator: Communicator) throws(VerbenaError) -> [[Parameter]] {
        guard owned != nil else { return states }
        let whole = makeWholeStates(isWanted: communicator.rank == 0)
        let buffer = try communicator.allocate(Float.self, count: parameters.map(\.elementCount).max() ?? 1)
        for (index, parameter) in parameters.enumerated() {
            for number in makeStates(parameter, [1]).indices {
                // SAFETY: the buffer is held here, and no collective of it is under way.
                let sum = unsafe UnsafeMutableBufferPointer(rebasing: buffer.elements[..<parameter.elementCount])
                unsafe sum.update(repeating: 0)
                unsafe forOwned(index, number) { own, range in
                    unsafe sum.baseAddress!.advanced(by: range.lowerBound).update(from: own, count: range.count)
                }
                // Every element is one rank's; as whole numbers, the others' 0 changes none of its bits.
                try communicator.allReduce(buffer.viewed(as: UInt32.self), count: parameter.elementCount)
                if communicator.rank == 0 {
                    unsafe whole[index][number].values.baseAddress!.update(from: sum.baseAddress!, count: sum.count)
                }
            }
        }
        try buffer.release()
        return whole
    }

    /// Remembers this rank's part of what `gatherStates` gave. By parameter.
    func take(_ whole: [[Parameter]]) {
        guard owned != nil else { return }
        for (index, states) in whole.enumerated() {
            for (number, state) in states.enumerated() {
                // SAFETY: the state, which has all elements of the parameter, is held by the caller.
                unsafe forOwned(index, number) { own, range in
                    unsafe own.update(from: state.values.baseAddress! + range.lowerBound, count: range.count)
                }
            }
        }
    }

    /// Room for `take`: this optimizer's own memory, where it remembers whole parameters.
    func wholeStates() -> [[Parameter]] { owned == nil ? states : makeWholeStates(isWanted: true) }

    private func makeWholeStates(isWanted: Bool) -> [[Parameter]] { isWanted ? parameters.map { makeStates($0, $0.shape) } : [] }

    /// Goes through the parts of a parameter that are this rank's.
    /// - Parameter body: gets where what is remembered of a part begins, and the part's elements.
    @unsafe
    private func forOwned(_ index: Int, _ number: Int, _ body: (UnsafeMutablePointer<Float>, Range<Int>) -> Void) {
        guard let owned, !states[index].isEmpty else { return }
        var place = 0
        for range in owned[index] {
            // SAFETY: the state is held here, and has as many elements as all parts.
            unsafe body(states[index][number].values.baseAddress! + place, range)
            place += range.count
        }
    }
}
