internal import CPlatform
internal import Collectives
internal import Fabric
internal import Foundation
internal import Rendezvous
internal import Synchronization

/// What the public face asks of the engine, whatever its fabric.
protocol EngineControl: AnyObject, Sendable {
    var fabricName: String { get }
    var deviceName: String { get }
    var landingByteCount: Int { get }
    /// Collective: allocates on every rank and attaches the neighbours'. `exchange` swaps descriptors.
    func addBuffer(
        byteCount: Int, exchange: ([UInt8]) throws(VerbenaError) -> [[UInt8]]
    ) throws(VerbenaError) -> (SharedBuffer, Region)
    /// Queues an operation; `wait` must be called once for each ticket.
    func submit(_ request: Allreduce) throws(VerbenaError) -> Int
    /// Waits for the operation's end.
    /// - Returns: when it ended, in nanoseconds of the monotonic clock.
    func wait(_ ticket: Int) throws(VerbenaError) -> UInt64
    /// The job is over: everything in flight ends with this verdict. Any thread.
    func deliver(_ verdict: Verdict)
    /// Ends the progress thread and the fabric; in order where `orderly`, else as a crash looks to the peers. Waits for it.
    func stop(orderly: Bool)
}

/// Runs the progress thread, whose local variable the executor is, and with it the fabric.
///
/// Trainers hand over requests through a short queue and wait on a slot's word; the data path itself takes no lock. Set-up calls run on
/// the progress thread too, so nothing but that thread can touch the fabric; when it ends, the fabric ends.
// Sendable without the compiler's proof: `mail` and `slotOfOperation` are touched by the progress thread alone; everything else is
// a Mutex, an atomic or constant.
final class Engine<F: Fabric & ~Copyable>: EngineControl, @unchecked Sendable {
    typealias Call = @Sendable (inout Executor<F>) -> Void

    /// How long the thread sleeps when nothing can happen but a wake-up.
    static var idleMilliseconds: UInt64 { 1_000 }
    /// How long it sleeps with work in flight: bounds how late a stall is noticed.
    static var busyMilliseconds: UInt64 { 100 }
    /// How long taking leave of the peers may take.
    static var closeMilliseconds: UInt64 { 2_000 }

    let fabricName: String
    let deviceName: String
    let landingByteCount: Int

    /// Slot of operation i at `i mod count`: sequence numbers are dense.
    private var slotOfOperation = Array(repeating: 0, count: OperationSlots.count)
    private let slots: OperationSlots
    private let inbox = Mutex(Inbox())
    private let hasMail = Atomic<Bool>(false)
    private let waker: Waker
    private let rendezvous: Rendezvous
    /// What every operation ends with, once something has failed.
    private let verdict = Mutex<VerbenaError?>(nil)
    private let ended = DispatchSemaphore(value: 0)
    /// What the progress thread took from the inbox; kept for its capacity.
    private var mail = Inbox()

    private struct Inbox {
        var requests: [(Allreduce, slot: Int)] = []
        var calls: [Call] = []
        var verdict: Verdict?
        var stop: Bool?
        var nextSlot = 0
    }

    init(executor: consuming Executor<F>, rendezvous: Rendezvous, spins: Int) {
        fabricName = executor.fabric.name
        deviceName = executor.fabric.deviceName
        landingByteCount = executor.settings.landingByteCount
        waker = executor.fabric.waker()
        self.rendezvous = rendezvous
        slots = OperationSlots(spins: spins)
        let handover = Handover(executor)
        let thread = Thread { [self] in run(handover.take()) }
        thread.name = "verbena"
        thread.start()
    }

    // MARK: any thread

    func submit(_ request: Allreduce) throws(VerbenaError) -> Int {
        let slot = try inbox.withLock { (inbox) throws(VerbenaError) -> Int in
            if inbox.stop != nil { throw Self.closed }
            // Slots are taken in turn, under the lock: the order of requests is the order of slots.
            let slot = inbox.nextSlot
            guard slots.take(slot) else {
                throw VerbenaError(
                    .configuration, "more than \(OperationSlots.count) operations are under way; wait for some, or use larger buckets")
            }
            inbox.nextSlot = (slot + 1) % OperationSlots.count
            inbox.requests.append((request, slot))
            return slot
        }
        notify()
        return slot
    }

    func wait(_ ticket: Int) throws(VerbenaError) -> UInt64 {
        let (failed, endTime) = slots.wait(ticket)
        if failed { throw verdict.withLock { $0 } ?? Self.closed }
        return endTime
    }

    func deliver(_ verdict: Verdict) {
        inbox.withLock { $0.verdict = $0.verdict ?? verdict }
        notify()
    }

    func addBuffer(
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

    func stop(orderly: Bool) {
        let isFirst = inbox.withLock { inbox in
            defer { inbox.stop = inbox.stop ?? orderly }
            return inbox.stop == nil
        }
        guard isFirst else { return }
        notify()
        ended.wait()  // Bounded: the thread leaves its loop at the next wake-up and closes the fabric with a deadline.
    }

    private static var closed: VerbenaError { VerbenaError(.closed, "the communicator was closed") }

    private func notify() {
        hasMail.store(true, ordering: .releasing)
        waker.wake()
    }

    /// Runs `body` on the progress thread and waits for its answer.
    private func perform<R: Sendable>(
        _ body: @escaping @Sendable (inout Executor<F>) throws(FabricError) -> R
    ) throws(VerbenaError) -> R {
        let answer = Answer<R>()
        let isOpen = inbox.withLock { inbox in
            guard inbox.stop == nil else { return false }
            inbox.calls.append { executor in
                do throws(FabricError) { answer.give(.success(try body(&executor))) } catch { answer.give(.failure(error)) }
            }
            return true
        }
        guard isOpen else { throw Self.closed }
        notify()
        return try wrapping { () throws(FabricError) in try answer.take() }
    }

    // MARK: the progress thread

    private func run(_ handed: consuming Executor<F>) {
        // Last, when the fabric is gone: whoever waits for the stop finds it so.
        defer { ended.signal() }
        var executor = handed
        var stopOrderly: Bool?
        while stopOrderly == nil {
            if hasMail.exchange(false, ordering: .acquiring) { stopOrderly = readMail(&executor) }
            let progressed = executor.progress()
            report(&executor)
            if !progressed, stopOrderly == nil, !hasMail.load(ordering: .acquiring) {
                executor.wait(milliseconds: executor.hasWork ? Self.busyMilliseconds : Self.idleMilliseconds)
            }
        }
        // Closing is no verdict: nothing is told to the others, and what is still in flight here ends for this rank alone.
        verdict.withLock { $0 = $0 ?? Self.closed }
        executor.fail(CollectiveError(.verdict, peer: nil, operation: "close", detail: "the communicator was closed"))
        report(&executor)
        if stopOrderly == true { executor.close(milliseconds: Self.closeMilliseconds) }
    }

    /// - Returns: whether to stop, and how.
    private func readMail(_ executor: inout Executor<F>) -> Bool? {
        inbox.withLock { inbox in
            swap(&inbox.requests, &mail.requests)
            swap(&inbox.calls, &mail.calls)
            (mail.verdict, mail.stop) = (inbox.verdict, inbox.stop)
        }
        for call in mail.calls { call(&executor) }
        mail.calls.removeAll()
        if let verdict = mail.verdict { end(&executor, with: verdict) }
        for (request, slot) in mail.requests {
            do throws(CollectiveError) {
                let sequence = try executor.submit(request)
                slotOfOperation[Int(sequence % UInt64(OperationSlots.count))] = slot
            } catch {
                settle(error)
                slots.end(slot, failed: true, at: platform_now())
            }
        }
        mail.requests.removeAll(keepingCapacity: true)
        return mail.stop
    }

    /// Tells the waiters what has ended. A failure is agreed on with the other ranks first.
    private func report(_ executor: inout Executor<F>) {
        if let failure = executor.failure { settle(failure) }
        let time = platform_now()
        executor.takeFinished { finished in
            let slot = slotOfOperation[Int(finished.sequence % UInt64(OperationSlots.count))]
            slots.end(slot, failed: finished.error != nil, at: time)
        }
    }

    private func end(_ executor: inout Executor<F>, with agreed: Verdict) {
        let operation = executor.currentOperation
        verdict.withLock { $0 = $0 ?? VerbenaError(agreed, during: operation) }
        executor.fail(CollectiveError(.verdict, peer: agreed.rank, operation: operation, detail: agreed.cause, remedy: agreed.remedy))
    }

    /// Makes a failure that this rank saw into the verdict that all ranks hold. Waits for that, bounded, once.
    private func settle(_ failure: CollectiveError) {
        guard verdict.withLock({ $0 == nil }) else { return }
        let own = Verdict(
            rank: failure.peer ?? rendezvous.rank, cause: failure.detail, operation: failure.operation, remedy: failure.remedy)
        rendezvous.report(own)
        let agreed = rendezvous.agreedVerdict(waitingAtMostMilliseconds: VerbenaError.agreementMilliseconds) ?? own
        verdict.withLock { $0 = $0 ?? VerbenaError(agreed, during: failure.operation) }
    }
}

/// Carries the executor, which cannot be copied, into its thread.
// Sendable without the compiler's proof: `take` is called once, by the one thread that it was made for, after `init`.
private final class Handover<F: Fabric & ~Copyable>: @unchecked Sendable {
    private var executor: Executor<F>?

    init(_ executor: consuming Executor<F>) { self.executor = consume executor }

    func take() -> Executor<F> {
        guard let taken = executor.take() else { fatalError("broken invariant: an executor is handed over once") }
        return taken
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
        isThere.wait()  // Bounded: the progress thread answers every call that it took, and takes no more once it stops.
        return try value.withLock { $0! }.get()
    }
}
