public import Engine
public import Gradients
public import Reduction

// SAFETY (whole file): the layout keeps every parameter's range inside the memory, which the exchange holds; users keep to `gradient(at:)`'s rule.

/// Averages a model's gradients over all ranks while backprop still runs.
///
/// The trainer computes each gradient straight into its view (`gradient(at:)`) and says so (`gradientReady`). Nothing is copied: the views lie in
/// registered memory, which travels in buckets, each as soon as all of its gradients are ready. Before the optimizer's step the trainer waits: for
/// all (`synchronize`), or for one gradient after the other, in the order in which the next forward pass needs them (`wait(for:)`), so that the optimizer
/// and the next forward pass work on the first layers while the last are on the wire.
///
/// A *step* begins with its first announcement. Its backward pass is over when every gradient was announced, or at `endBackward` or `synchronize`; the step
/// is over when every gradient was waited for. Every rank makes the same steps; the order of announcements and of waits may differ.
///
/// Any thread may announce, also several at once, of different parameters. All else belongs to one thread at a time.
public final class GradientExchange: Sendable {
    let layout: GradientLayout
    let traffic: GradientTraffic
    private let memory: RawBuffer
    /// What the wire format has lost of each gradient, in the same places; nil where nothing is kept.
    private let residuals: RawBuffer?

    /// Lays out the gradients and registers their memory. Collective: ranks whose layouts or settings differ are told where, before any data moves.
    /// - Parameters:
    ///   - parameters: of the model, in forward order.
    ///   - update: what this rank makes of its part of each average, and every rank gets in its place: new parameter values, so that ranks share the work and
    ///     the memory of an optimizer. Gradients are fp32 then, and are reduced in backprop and gathered in the next forward pass, as fp32 whatever the wire format. See `OwnedUpdate`.
    public init(
        _ communicator: Communicator, parameters: [ParameterLayout], settings: GradientSettings = GradientSettings(),
        update: OwnedUpdate? = nil
    ) throws(VerbenaError) {
        var settings = settings
        if update != nil {
            if let other = parameters.first(where: { $0.type != .float32 }) {
                throw VerbenaError(
                    .configuration,
                    "the gradient of '\(other.name)' is of \(other.type), and ranks share the update of fp32 ones only; make it fp32")
            }
            guard settings.schedule != .allReduce else {
                throw VerbenaError(
                    .configuration,
                    "a shared update goes between the halves of the split schedule; leave GradientSettings.schedule nil, or split")
            }
            settings.schedule = .split
        }
        if case .fixed(let bytes) = settings.bucketSize, bytes < 1 {
            throw VerbenaError(.configuration, "buckets of \(bytes) bytes; give a positive number")
        }
        for parameter in parameters {
            guard parameter.elementCount >= 0, ParameterLayout.types.contains(parameter.type) else {
                throw VerbenaError(
                    .configuration,
                    "the gradient of '\(parameter.name)' is of \(parameter.elementCount) \(parameter.type); give 0 elements or more, of one of "
                        + ParameterLayout.types.map(\.description).joined(separator: ", "))
            }
        }
        if let wire = settings.wire, wire != .plain, let other = parameters.first(where: { $0.type != .float32 }) {
            throw VerbenaError(
                .configuration,
                "the gradient of '\(other.name)' is of \(other.type), and only fp32 gradients travel as \(wire); "
                    + "make all of them fp32, or leave GradientSettings.wire plain")
        }
        layout = GradientLayout(parameters: parameters, tracksUse: settings.allowsUnused)
        let manifest = layout.manifest("\(settings)\nwire format \(settings.wireName)\(update == nil ? "" : ", update shared")")
        if let difference = GradientLayout.difference(try communicator.allGather(manifest, label: "gradient layout")) {
            throw VerbenaError(
                knownToAll: .disagreed, rank: communicator.group.jobRanks[difference.rank],
                "\(communicator.group.naming("the ranks' models differ")): \(difference.detail); start every rank with the same model and settings"
            )
        }
        let deskOffset = (layout.byteCount + GradientLayout.alignment - 1) / GradientLayout.alignment * GradientLayout.alignment
        let deskBytes = 8 * ArrivalProfile.agreeableCount(parameters: layout.parameters.count)
        memory = try communicator.allocate(.uint8, count: deskOffset + deskBytes)
        let keepsResiduals = settings.wire?.keepsResiduals == true && communicator.worldSize > 1
        var residuals: RawBuffer?
        do throws(VerbenaError) {
            if keepsResiduals { residuals = try communicator.allocate(.uint8, count: layout.byteCount) }
            traffic = try GradientTraffic(
                communicator, memory, desk: memory[deskOffset...].viewed(as: .float64), residuals, layout, settings, update)
        } catch {
            // Whoever goes on with other settings has all of it for those.
            try? residuals?.release()
            try? memory.release()
            throw error
        }
        self.residuals = residuals
    }

    // MARK: memory

    /// Where parameter `index`'s gradient of fp32 belongs: valid until `release`, or until the communicator of all ranks is closed. Traps where it is of
    /// another type.
    ///
    /// Write it before `gradientReady(index)`, read it after `wait(for: index)` or `synchronize()`; in between it is the engine's.
    @unsafe
    public func gradient(at index: Int) -> UnsafeMutableBufferPointer<Float> { unsafe gradient(at: index, as: Float.self) }

    /// The same of any type.
    @unsafe
    public func gradient<E: Element>(at index: Int, as _: E.Type) -> UnsafeMutableBufferPointer<E> {
        let parameter = layout.parameters[index]
        guard parameter.type == E.elementType else { fatalError("the gradient of '\(parameter.name)' is of \(parameter.type)") }
        let bytes = unsafe gradientBytes(at: index)
        return unsafe UnsafeMutableBufferPointer(start: bytes.baseAddress?.assumingMemoryBound(to: E.self), count: parameter.elementCount)
    }

    /// The same as bytes.
    @unsafe
    public func gradientBytes(at index: Int) -> UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(rebasing: memory.bytes[layout.byteRange(ofParameter: index)])
    }

    /// Which elements of a parameter this rank updates, where ranks share that: the same for the life of the exchange, whatever the plan. Those of all ranks
    /// together are all elements, each once.
    public func ownedElements(of index: Int) -> [Range<Int>] {
        let place = layout.places[index]
        return traffic.owned(place.elements, ofSection: place.section).map {
            $0.lowerBound - place.elements.lowerBound..<$0.upperBound - place.elements.lowerBound
        }
    }

    /// - Throws: `.closed` after the end, when views may trap.
    package func checkOpen() throws(VerbenaError) { try memory.checkOpen() }

    /// Gives the gradients' memory back; no view of it may be used any more. A rank's own affair; see `RawBuffer.release`.
    /// - Throws: `.configuration` inside a step.
    public func release() throws(VerbenaError) {
        try memory.release()
        try residuals?.release()
    }

    // MARK: backward

    /// Says that the gradient of parameter `index` is final for this step. Full buckets start to travel. Returns at once, unless 256 buckets, or
    /// with other operations 512, are under way already: then it waits for the oldest bucket, which counts as exposed time.
    /// - Throws: `.configuration`, where the 512 are none of this exchange's. The gradient stays announced then, and its bucket waits: wait for
    ///   some of those operations and make the same call again, before any other collective.
    public func gradientReady(_ index: Int) throws(VerbenaError) { try traffic.announce(index, isUsed: true) }

    /// Says that parameter `index` took no part in this step. Its gradient is set to zero, and travels as every other: where another rank used it, the
    /// result is the average over all ranks all the same. What it was given in `withoutSynchronization` stays.
    public func gradientUnused(_ index: Int) throws(VerbenaError) { try traffic.announce(index, isUsed: false) }

    /// Says that no gradient will be announced any more in this step; needed only where some were not, and are waited for one after the other.
    /// - Throws: the parameters that were not announced, unless `GradientSettings.allowsUnused`: then they count as unused (`gradientUnused`).
    public func endBackward() throws(VerbenaError) { try traffic.endBackward() }

    /// Carries out backward passes whose gradients stay here: announcements in `body` start nothing. The pass after it is exchanged as ever.
    ///
    /// The trainer adds up what belongs together: in the first pass of a step it overwrites the views, in all further ones it adds to them. A gradient that the
    /// last pass does not announce is exchanged too, if a pass in here has.
    public func withoutSynchronization<R, Failure: Error>(_ body: () throws(Failure) -> R) throws -> R {
        try traffic.hold()
        defer { traffic.endHold() }
        return try body()
    }

    /// The same in two calls, for languages without closures. The second is never missed.
    package func beginWithoutSynchronization() throws(VerbenaError) { try traffic.hold() }
    package func endWithoutSynchronization() { traffic.endHold() }

    /// Gives this rank's gradients of the coming step a weight: the result is the weighted mean, the sum of weight times gradient over the sum of the weights. For
    /// batches that differ in size, weigh by samples. Collective, before the step's first announcement: waits until every rank has called it.
    ///
    /// The gradients are multiplied in place, when they are announced: by a weight of 0 they become zero, whatever they were.
    /// - Throws: where a weight is negative or not finite, or all are 0; and inside a step.
    public func setWeight(_ weight: Double) throws(VerbenaError) {
        guard weight.isFinite, weight >= 0 else { throw VerbenaError(.configuration, "a weight of \(weight); give 0 or more") }
        try traffic.setWeight(weight)
    }

    // MARK: waiting

    /// Waits until the gradient of parameter `index` holds the average over all ranks. When all were waited for, the step is over (`lastReport`).
    /// Between steps it returns at once: so a forward pass may wait for each gradient before it uses the parameter, in the first step, too.
    /// - Throws: `.configuration` where it does not travel yet, because a gradient of its bucket was not announced; or the verdict, when a rank is lost.
    public func wait(for index: Int) throws(VerbenaError) { try traffic.wait(for: index) }

    /// Ends the backward pass (`endBackward`), waits until every gradient holds its average over all ranks, and closes the step.
    /// - Returns: where the step's time went.
    /// - Throws: the parameters that were not announced; or the verdict, when a rank is lost. What `gradientReady` throws for want of room leaves
    ///   the step open: call again.
    @discardableResult
    public func synchronize() throws(VerbenaError) -> StepReport { try traffic.synchronize() }

    /// As `synchronize`; then bounds the norm of all gradients together, in the 2-norm: where it is more, every gradient is multiplied by
    /// `clippingNorm` over it. A norm that is not finite changes nothing. Costs two passes over the gradients, on this thread.
    /// - Returns: the norm before; the same bits on every rank.
    public func synchronize(clippingNorm: Double) throws(VerbenaError) -> Double {
        guard traffic.update == nil else {
            throw VerbenaError(
                .configuration, "where ranks share the update, gradients cannot be clipped after it; clip in the update, or share none")
        }
        try traffic.synchronize()
        let sections = layout.sections.enumerated().filter { !$0.element.type.isInteger }.map {
            (type: $0.element.type, range: layout.byteRange(0..<$0.element.elementCount, ofSection: $0.offset))
        }
        let norm = sections.reduce(0.0) {
            unsafe $0 + GradientMath.sumOfSquares(UnsafeMutableRawBufferPointer(rebasing: memory.bytes[$1.range]), $1.type)
        }.squareRoot()
        guard norm.isFinite, norm > clippingNorm else { return norm }
        for section in sections {
            unsafe GradientMath.scale(
                UnsafeMutableRawBufferPointer(rebasing: memory.bytes[section.range]), section.type, by: clippingNorm / norm)
        }
        return norm
    }

    /// By which plan gradients travel now, what it should cost, and what it does. This rank's own affair.
    public func explain() -> GradientExplanation {
        traffic.state.withLock { GradientExplanation($0.plan, layout, $0.planning, residualByteCount: residuals?.count ?? 0) }
    }

    /// Of the last step that is over.
    public var lastReport: StepReport? { traffic.state.withLock { $0.lastReport } }

    /// Whether any rank used the parameter in the last step that is over: where none did, its gradient is zero, and an optimizer may leave it alone. In a
    /// wire format that keeps residuals it may hold what earlier steps have lost.
    /// - Throws: without `GradientSettings.allowsUnused`.
    public func wasUsed(_ index: Int) throws(VerbenaError) -> Bool {
        guard let useIndex = layout.useIndex else {
            throw VerbenaError(.configuration, "what other ranks used is not known; set GradientSettings.allowsUnused")
        }
        try wrapping { () throws(GradientError) in try traffic.check(index) }
        return unsafe memory.bytes[layout.byteRange(ofParameter: useIndex).lowerBound + index] != 0
    }

    deinit {
        // Every number is given back, or it would never be free again; a failed operation has ended already.
        traffic.drain()
    }
}
