internal import CPlatform
package import Collectives
package import Fabric
internal import Foundation
package import Membership
internal import Synchronization

/// Owns the executor, and lets one thread at a time drive it: a caller that waits for its own operation anyway, or the progress thread for
/// what was submitted to go on beside the caller's work.
///
/// *Ownership.* `isOwned` is taken by an exchange and given back by a store; whoever holds it may touch the executor and everything under
/// "the owner's". Nobody waits for it: who does not get it leaves its wish in the inbox. An owner reads the inbox as long as it works, and
/// when it gives ownership back with work or mail left, it wakes the progress thread. So a wish is read by the present owner or by the next.
// Sendable without the compiler's proof: what the owner touches is guarded by `isOwned`; everything else is a Mutex, an atomic or constant.
@safe
package final class ProgressEngine<F: Fabric & ~Copyable>: EngineControl, @unchecked Sendable {
    typealias Call = @Sendable (inout Executor<F>) -> Void

    /// How long the progress thread sleeps when there is nothing to do: bounds how late a peer's end is noticed between operations.
    static var idleMilliseconds: UInt64 { 200 }
    /// How long an owner sleeps with work in flight: bounds how late a stall is noticed.
    static var busyMilliseconds: UInt64 { 100 }
    /// What counts of the time between two looks for a stall: of a pause of the whole process (Ctrl-Z, docker pause) no more.
    static var longestGapMilliseconds: UInt64 { 1_000 }
    /// How often a long wait is told, if it is at least half as old then.
    static var longWaitMilliseconds: UInt64 { 10_000 }
    /// How long taking leave of the peers may take.
    static var closeMilliseconds: UInt64 { 2_000 }
    /// How often the progress thread looks before the fabric's `wait`: rarely, for it takes the core from those who compute.
    static var progressLooks: Int { 16 }

    /// How often a caller looks before it pauses between looks.
    static var looksWithoutPause: Int { 100 }

    package let fabricName: String
    package let deviceName: String
    private let slots: OperationSlots
    private let inbox = Mutex(Inbox())
    private let hasMail = Atomic<Bool>(false)
    private let isOwned = Atomic<Bool>(false)
    private let waker: Waker
    private let group: RankGroup
    private let published: Mutex<ExecutorSettings>
    /// What every operation ends with, once something has failed.
    private let verdict = Mutex<VerbenaError?>(nil)
    /// Changed by one thread at a time, as collectives are called.
    private let begun = Atomic<UInt64>(0)
    private let ended = DispatchSemaphore(value: 0)
    /// Signalled whenever the engine is closing and nothing is under way, and at its end.
    private let drained = DispatchSemaphore(value: 0)
    private let bell: ProgressBell
    /// How often a caller looks before the fabric's `wait`, which reads the clock.
    private let callerLooks: Int

    /// What the owner alone touches. At a fixed place, so that touching it needs no check by the runtime.
    private let owned: UnsafeMutablePointer<Owned>

    private struct Owned: ~Copyable {
        var executor: Executor<F>
        /// Who waits for which operation.
        var tickets = TicketTable()
        /// What was taken from the inbox; kept for its capacity.
        var mail = Inbox()
        var stopOrderly: Bool?
        /// Nothing more is begun: as of the inbox, or because the engine stops.
        var isClosing = false
        /// The ticket of the operation that its caller runs itself, and that operation's end.
        var ownTicket = UInt64.max
        var ownEnd = OwnEnd.none
        /// When a long wait for a peer was last told to the others.
        var toldAt: UInt64 = 0
    }

    private enum OwnEnd { case none, awaited, done, failed }

    private struct Inbox {
        var requests: [(Operation, slot: Int)] = []
        var calls: [Call] = []
        var verdict: Verdict?
        var stop: Bool?
        /// Nothing more is begun: what ranks have told each other of is all that there will be.
        var isClosing = false
        var nextSlot = 0
    }

    package init(executor: consuming Executor<F>, group: RankGroup, looks: Int) {
        fabricName = executor.fabricName
        deviceName = executor.deviceName
        published = Mutex(executor.settings)
        waker = executor.waker()
        self.group = group
        slots = OperationSlots(spins: looks)
        bell = ProgressBell()
        callerLooks = looks
        // SAFETY: initialised here, deinitialised by the progress thread at its end, which takes ownership for good.
        unsafe owned = .allocate(capacity: 1)
        unsafe owned.initialize(to: Owned(executor: executor))
    }

    /// Starts the progress thread; called once.
    package func start() {
        let thread = Thread { [self] in
            // Not by `Thread.name`, which names only threads that it knows to run already.
            // SAFETY: the text lives for the call.
            unsafe platform_name_thread(group.isWholeJob ? "verbena" : "verbena \(group.name)")
            progressThread()
        }
        thread.start()
    }

    package var settings: ExecutorSettings { published.withLock { $0 } }
    package var collectivesBegun: UInt64 { begun.load(ordering: .relaxed) }

    /// No exchange: it would cost a small operation more than a hundredth.
    @inline(__always)
    private func count(_ operation: Operation) {
        if operation.collective.peer == nil { begun.store(begun.load(ordering: .relaxed) &+ 1, ordering: .relaxed) }
    }

    // MARK: any thread

    /// Carries out an operation, on this thread where the engine has nothing else to do, and returns when it has ended.
    package func run(_ operation: Operation) throws(VerbenaError) {
        guard tryOwn() else {
            let ticket = try submit(operation)
            defer { release(ticket) }
            _ = try wait(ticket)
            return
        }
        // SAFETY: this thread owns it until `disown`.
        let failure = unsafe runOwned(operation, &owned.pointee)
        // While the engine is closing, the progress thread says when nothing is under way.
        let hasWork = unsafe owned.pointee.executor.hasWork || owned.pointee.isClosing
        disown(hasWork: hasWork)
        if failure { throw reason }
    }

    package func submitWhereRoom(_ operation: Operation) throws(VerbenaError) -> Int? {
        let slot = try inbox.withLock { (inbox) throws(VerbenaError) -> Int? in
            if inbox.stop != nil || inbox.isClosing { throw .communicatorClosed }
            // As a rule the next in turn; those of operations that take long are passed over.
            guard let slot = slots.take(from: inbox.nextSlot) else { return nil }
            inbox.nextSlot = (slot + 1) % OperationSlots.count
            inbox.requests.append((operation, slot))
            count(operation)
            return slot
        }
        if slot != nil { notify() }
        return slot
    }

    package func hasEnded(_ ticket: Int) -> Bool { slots.hasEnded(ticket) }

    package func wait(_ ticket: Int) throws(VerbenaError) -> UInt64 {
        let (failed, endTime) = slots.wait(ticket)
        if failed { throw reason }
        return endTime
    }

    package func release(_ ticket: Int) { slots.free(ticket) }

    package func finishAll(_ exchange: ([UInt8]) throws(VerbenaError) -> [[UInt8]]) throws(VerbenaError) {
        let own = try perform(andClose: true) { (executor) throws(FabricError) in executor.submitted.bytes }
        let all = try exchange(own).map { Submitted(bytes: $0) ?? Submitted() }
        if let other = all.firstIndex(where: { $0.collectives != all[0].collectives }) { throw differs(all, other) }
        try perform { (executor) throws(FabricError) in executor.endUnmatched(all) }
        drained.wait()  // Bounded: every operation ends within the stall limit, and the engine's end is told, too.
        if let verdict = verdict.withLock({ $0 }) { throw verdict }
    }

    /// All ranks see it, and say the same; the first word is the verdict, before anybody leaves.
    private func differs(_ submitted: [Submitted], _ other: Int) -> VerbenaError {
        let operation = group.naming("close")
        let verdict = Verdict(
            rank: group.jobRanks[other],
            cause: "it has begun \(submitted[other].collectives) collectives, rank \(group.jobRanks[0]) \(submitted[0].collectives)",
            operation: operation, remedy: "let every rank make the same calls before it closes")
        return VerbenaError(group.agree(on: verdict), during: operation)
    }

    /// Why an operation has failed.
    private var reason: VerbenaError { verdict.withLock { $0 } ?? .communicatorClosed }

    package func deliver(_ verdict: Verdict) {
        inbox.withLock { $0.verdict = $0.verdict ?? verdict }
        notify()
    }

    package func addBuffer(
        byteCount: Int, exchange: ([UInt8]) throws(VerbenaError) -> [[UInt8]]
    ) throws(VerbenaError) -> (SharedBuffer, Region) {
        let (buffer, region, descriptor) = try perform { (executor) throws(FabricError) in
            let (buffer, region) = try executor.addBuffer(byteCount: byteCount)
            return (buffer, region, executor.descriptor(of: buffer))
        }
        let descriptors = try exchange(descriptor)
        try perform { (executor) throws(FabricError) in try executor.attach(buffer, descriptors: descriptors) }
        return (buffer, region)
    }

    package func addBuffer(
        _ memory: UnsafeMutableRawPointer, byteCount: Int, exchange: ([UInt8]) throws(VerbenaError) -> [[UInt8]]
    ) throws(VerbenaError) -> SharedBuffer? {
        let address = UInt(bitPattern: memory)
        let added = try perform { (executor) throws(FabricError) -> (SharedBuffer, [UInt8])? in
            guard let memory = unsafe UnsafeMutableRawPointer(bitPattern: address) else { return nil }
            // SAFETY: the caller keeps the memory as long as the engine.
            let buffer = unsafe try executor.addBuffer(memory, byteCount: byteCount)
            return buffer.map { ($0, executor.descriptor(of: $0)) }
        }
        let descriptors = try exchange(added?.1 ?? [])
        guard let added else { return nil }
        guard descriptors.allSatisfy({ !$0.isEmpty }) else {
            // Numbers of buffers stay the same on all ranks.
            try perform { (executor) throws(FabricError) in executor.removeLastBuffer() }
            return nil
        }
        try perform { (executor) throws(FabricError) in try executor.attach(added.0, descriptors: descriptors) }
        return added.0
    }

    package func adopt(_ costs: Costs) throws(VerbenaError) {
        try perform { (executor) throws(FabricError) in executor.adopt(costs) }
        published.withLock { $0.costs = costs }
    }

    package func stop(orderly: Bool, because reason: VerbenaError?) {
        // The caller may know the verdict before it has come here.
        if let reason, reason.cause == .verdict { verdict.withLock { $0 = $0 ?? reason } }
        let isFirst = inbox.withLock { inbox in
            defer { inbox.stop = inbox.stop ?? orderly }
            return inbox.stop == nil
        }
        guard isFirst else { return }
        notify()
        ended.wait()  // Bounded: owners leave their loops at the next wake-up, and the fabric is closed with a deadline.
    }

    /// Somebody is to read the inbox: the owner, who may be asleep in the fabric, or the progress thread.
    private func notify() {
        hasMail.store(true, ordering: .sequentiallyConsistent)
        if isOwned.load(ordering: .sequentiallyConsistent) { waker.wake() }
        bell.ring()
    }

    /// Has `body` carried out by an owner and waits for its answer.
    /// - Parameter andClose: what was begun before `body` is all that is begun.
    private func perform<R: Sendable>(
        andClose: Bool = false, _ body: @escaping @Sendable (inout Executor<F>) throws(FabricError) -> R
    ) throws(VerbenaError) -> R {
        let answer = Answer<R>()
        let isOpen = inbox.withLock { inbox in
            guard inbox.stop == nil else { return false }
            inbox.isClosing = inbox.isClosing || andClose
            inbox.calls.append { executor in
                do throws(FabricError) { answer.give(.success(try body(&executor))) } catch { answer.give(.failure(error)) }
            }
            return true
        }
        guard isOpen else { throw .communicatorClosed }
        notify()
        return try wrapping { () throws(FabricError) in try answer.take() }
    }

    // MARK: ownership

    private func tryOwn() -> Bool { !isOwned.exchange(true, ordering: .acquiring) }

    @inline(__always)
    private func disown(hasWork: Bool) {
        isOwned.store(false, ordering: .sequentiallyConsistent)
        if hasWork || hasMail.load(ordering: .sequentiallyConsistent) { bell.ring() }
    }

    /// - Returns: whether the operation failed.
    @inline(__always)
    private func runOwned(_ operation: Operation, _ owned: inout Owned) -> Bool {
        if hasMail.load(ordering: .acquiring) { readMail(&owned) }
        guard !owned.isClosing else { return true }
        count(operation)
        do throws(CollectiveError) {
            owned.ownTicket = try owned.executor.submit(operation)
        } catch {
            settle(error)
            return true
        }
        owned.ownEnd = .awaited
        var looks = 0
        while owned.ownEnd == .awaited {
            if owned.executor.progress() || owned.executor.hasFinished {
                report(&owned)
                looks = 0
            } else if looks < callerLooks {
                looks += 1
                // A pause is as long as a small message takes; only who waits for longer can spare it.
                if looks > Self.looksWithoutPause { platform_pause() }
            } else {
                rest(&owned)
            }
            if hasMail.load(ordering: .relaxed) {
                readMail(&owned)
                if owned.stopOrderly != nil { end(&owned) }
            }
        }
        defer { owned.ownEnd = .none }
        return owned.ownEnd == .failed
    }

    private func progressThread() {
        // Last, when the fabric is gone: whoever waits for the stop finds it so.
        defer {
            drained.signal()
            ended.signal()
        }
        while true {
            let seen = bell.count
            if tryOwn() {
                // SAFETY: this thread owns it until `disown`, or for good.
                unsafe driveOwned(&owned.pointee)
                if let orderly = unsafe owned.pointee.stopOrderly {
                    unsafe close(&owned.pointee, orderly: orderly)
                    unsafe owned.deinitialize(count: 1)
                    unsafe owned.deallocate()
                    return
                }
                if unsafe owned.pointee.isClosing { drained.signal() }
                disown(hasWork: false)
            }
            // Between reading the count and here somebody may have rung: then this returns at once.
            bell.wait(seen: seen, milliseconds: Self.idleMilliseconds)
        }
    }

    /// Drives the executor as long as there is something to do, or until the engine stops.
    private func driveOwned(_ owned: inout Owned) {
        var looks = 0
        repeat {
            if hasMail.load(ordering: .acquiring) { readMail(&owned) }
            let progressed = owned.executor.progress()
            report(&owned)
            looks = progressed ? 0 : looks + 1
            if looks > Self.progressLooks, owned.executor.hasWork, !hasMail.load(ordering: .acquiring) { rest(&owned) }
        } while owned.stopOrderly == nil && (owned.executor.hasWork || hasMail.load(ordering: .acquiring))
    }

    /// Nothing to do but to wait for the peers.
    private func rest(_ owned: inout Owned) {
        owned.executor.checkStall(longestGapMilliseconds: Self.longestGapMilliseconds)
        tellLongWait(&owned)
        if !owned.executor.hasFinished { owned.executor.wait(milliseconds: Self.busyMilliseconds) }
    }

    /// Tells the others for whom a caller waits, every few seconds: that peer may be waiting for this rank in a gather, where the fabric does not
    /// look. Of operations for whose end nobody waits yet nothing is told: their caller may be on the way to that gather.
    private func tellLongWait(_ owned: inout Owned) {
        let now = platform_now()
        guard now - owned.toldAt >= Self.longWaitMilliseconds * 1_000_000 else { return }
        owned.toldAt = now
        let (own, tickets) = (owned.ownEnd == .awaited ? owned.ownTicket : nil, owned.tickets)
        let wait = owned.executor.longWait(milliseconds: Self.longWaitMilliseconds / 2) { ticket in
            ticket == own || tickets.slot(of: ticket).map(slots.isAwaited) ?? false
        }
        guard let wait else { return }
        group.reportWaiting(in: wait.operation, number: wait.number, for: wait.peer)
    }

    private func close(_ owned: inout Owned, orderly: Bool) {
        if owned.executor.hasWork { end(&owned) }
        if orderly { owned.executor.close(milliseconds: Self.closeMilliseconds) }
        end(&owned)
    }

    /// Closing is no verdict: nothing is told to the others, and what is still in flight here ends for this rank alone.
    private func end(_ owned: inout Owned) {
        verdict.withLock { $0 = $0 ?? .communicatorClosed }
        owned.executor.fail(CollectiveError(.verdict, peer: nil, operation: "close", detail: "the communicator was closed"))
        report(&owned)
    }

    // MARK: the owner's work

    private func readMail(_ owned: inout Owned) {
        hasMail.store(false, ordering: .sequentiallyConsistent)
        inbox.withLock { inbox in
            swap(&inbox.requests, &owned.mail.requests)
            swap(&inbox.calls, &owned.mail.calls)
            (owned.mail.verdict, owned.mail.stop, owned.mail.isClosing) = (inbox.verdict, inbox.stop, inbox.isClosing)
        }
        if let verdict = owned.mail.verdict { end(&owned, with: verdict) }
        for (operation, slot) in owned.mail.requests { submit(operation, slot: slot, to: &owned) }
        owned.mail.requests.removeAll(keepingCapacity: true)
        // After the requests that came before them: what a call sees or changes has its place in the order. A failure is told first: by what the
        // call sees of it, the ranks would blame each other for what only follows from it.
        if !owned.mail.calls.isEmpty { report(&owned) }
        for call in owned.mail.calls { call(&owned.executor) }
        owned.mail.calls.removeAll()
        owned.stopOrderly = owned.stopOrderly ?? owned.mail.stop
        owned.isClosing = owned.mail.isClosing || owned.stopOrderly != nil
    }

    private func submit(_ operation: Operation, slot: Int, to owned: inout Owned) {
        do throws(CollectiveError) {
            owned.tickets.insert(try owned.executor.submit(operation), slot: slot)
        } catch {
            settle(error)
            slots.end(slot, failed: true, at: platform_now())
        }
    }

    /// Tells the waiters what has ended. A failure is agreed on with the other ranks first.
    private func report(_ owned: inout Owned) {
        if owned.executor.hasFailed, let failure = owned.executor.failure { settle(failure) }
        while owned.executor.hasFinished, let finished = owned.executor.takeFinished() {
            if owned.ownEnd == .awaited, finished.ticket == owned.ownTicket {
                owned.ownEnd = finished.isFailed ? .failed : .done
            } else {
                report(finished, &owned)
            }
        }
    }

    @inline(never)
    private func report(_ finished: Finished, _ owned: inout Owned) {
        slots.end(owned.tickets.remove(finished.ticket), failed: finished.isFailed, at: platform_now())
    }

    private func end(_ owned: inout Owned, with agreed: Verdict) {
        let operation = group.naming(owned.executor.currentOperation)
        verdict.withLock { $0 = $0 ?? VerbenaError(agreed, during: operation) }
        owned.executor.fail(CollectiveError(.verdict, peer: agreed.rank, operation: operation, detail: agreed.cause, remedy: agreed.remedy))
    }

    /// Makes a failure that this rank saw into the verdict that all ranks hold. Waits for that, bounded, once.
    private func settle(_ failure: CollectiveError) {
        guard verdict.withLock({ $0 == nil }) else { return }
        let operation = group.naming(failure.operation)
        let culprit = group.jobRanks[failure.peer ?? group.rank]
        let own = Verdict(rank: culprit, cause: failure.detail, operation: operation, remedy: failure.remedy)
        let agreed = group.agree(on: own, isConclusion: failure.cause == .fabric(.peerDied))
        verdict.withLock { $0 = $0 ?? VerbenaError(agreed, during: operation) }
    }
}

/// One value that a thread waits for and another gives.
private final class Answer<R: Sendable>: Sendable {
    private let value = Mutex<Result<R, FabricError>?>(nil)
    private let isThere = DispatchSemaphore(value: 0)

    func give(_ result: Result<R, FabricError>) {
        value.withLock { $0 = result }
        isThere.signal()
    }

    func take() throws(FabricError) -> R {
        isThere.wait()  // Bounded: an owner answers every call that was taken, and none is taken once the engine stops.
        return try value.withLock { $0! }.get()
    }
}
