internal import CPlatform
internal import Engine
internal import Gradients

// What the trainer says in a step.
extension GradientTraffic {
    func announce(_ index: Int, isUsed: Bool) throws(VerbenaError) {
        try state.withLock { (state) throws(VerbenaError) in
            try wrapping { () throws(GradientError) in
                try check(index)
                if state.isHeld {
                    if isUsed { state.hasHeld[index] = true }
                } else if state.isBackwardOver {
                    // Once more, to have started what found no room; else it is a gradient of the next step.
                    guard state.readiness.next == nil else { return }
                    throw .notWaitedFor(
                        names: layout.parameters.indices.filter { !state.isWaitedFor[$0] }.map { layout.parameters[$0].name })
                } else {
                    try announce(index, isUsed: isUsed, &state)
                    if state.readiness.announcedCount == layout.parameterCount { endBackward(&state) }
                }
            }
        }
        try startBuckets()
    }

    /// Nothing more is announced in this step: what is missing counts as unused.
    func endBackward() throws(VerbenaError) {
        try state.withLock { (state) throws(VerbenaError) in
            try wrapping { () throws(GradientError) in
                guard !state.isBackwardOver else { return }
                let missing = state.readiness.unannounced.filter { $0 != layout.useIndex }
                let forgotten = missing.filter { !state.hasHeld[$0] }
                guard allowsUnused || forgotten.isEmpty else { throw .notAnnounced(names: forgotten.map { layout.parameters[$0].name }) }
                for index in missing { try announce(index, isUsed: false, &state) }
                endBackward(&state)
            }
        }
        try startBuckets()
    }

    private func endBackward(_ state: inout State) {
        let now = platform_now()
        if let index = layout.useIndex {
            _ = try? state.readiness.announce(index)
            state.announcedAt[index] = now
        }
        state.planning.endBackward(at: now)
        state.isBackwardOver = true
    }

    private func announce(_ index: Int, isUsed: Bool, _ state: inout State) throws(GradientError) {
        guard try state.readiness.announce(index) else { return }
        state.announcedAt[index] = platform_now()
        if state.readiness.announcedCount == 1 { state.planning.beginBackward(at: state.announcedAt[index]) }
        // What passes without synchronisation have left there counts, too.
        let isUsed = isUsed || state.hasHeld[index]
        // SAFETY: the range is inside the memory, which this object holds; the gradient was announced just now and travels after this.
        let bytes = unsafe memory.bytes
        if let factor = isUsed ? state.factor : 0 {
            let gradient = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[layout.byteRange(ofParameter: index)])
            unsafe GradientMath.scale(gradient, layout.parameters[index].type, by: factor)
        }
        guard let useIndex = layout.useIndex else { return }
        unsafe bytes[layout.byteRange(ofParameter: useIndex).lowerBound + index] = isUsed ? 1 : 0
    }

    func check(_ index: Int) throws(GradientError) {
        guard 0..<layout.parameterCount ~= index else { throw .unknownParameter(index: index, count: layout.parameterCount) }
    }

    // MARK: before a step

    /// From here on announcements are kept for a later pass.
    func hold() throws(VerbenaError) {
        try state.withLock { (state) throws(VerbenaError) in
            try state.checkBetweenSteps("withoutSynchronization")
            state.isHeld = true
        }
    }

    func endHold() { state.withLock { $0.isHeld = false } }

    /// See `GradientExchange.setWeight`.
    func setWeight(_ weight: Double) throws(VerbenaError) {
        try state.withLock { (state) throws(VerbenaError) in try state.checkBetweenSteps("setWeight") }
        // SAFETY: the desk is of fp64, in memory that this object holds; nothing travels between steps.
        unsafe desk.bytes.storeBytes(of: weight, as: Double.self)
        let from = platform_now()
        try communicator.run(.allReduce, desk[..<1], nil, 1, .sum, nil)
        let sum = unsafe desk.bytes.load(as: Double.self)
        guard sum > 0, sum.isFinite else {
            throw VerbenaError(.configuration, "the weights of all ranks sum to \(sum); give one of them more than 0")
        }
        state.withLock { state in
            state.ledger.name("weights", from: from, to: platform_now())
            // Residuals are of parts of an average: so it stays one, of parts as many times as large.
            let staysAverage = residuals != nil && reduction == .average
            state.factor = weight / sum * (staysAverage ? Double(communicator.worldSize) : 1)
            state.reduction = staysAverage ? .average : .sum
        }
    }
}

extension GradientTraffic.State {
    fileprivate func checkBetweenSteps(_ call: String) throws(VerbenaError) {
        try wrapping { () throws(GradientError) in
            guard readiness.announcedCount == 0 else { throw .insideStep(what: call) }
        }
    }
}
