package import Collectives
internal import Fabric
package import Membership
internal import Synchronization

/// The mailbox: what threads that do not own the executor want of it.
extension ProgressEngine where F: ~Copyable {
    struct Inbox {
        /// Each with its slot, and when it was submitted.
        var requests: [(Operation, slot: Int, at: UInt64)] = []
        var calls: [Call] = []
        var verdict: Verdict?
        var stop: Bool?
        /// Nothing more is begun: what ranks have told each other of is all that there will be.
        var isClosing = false
        var nextSlot = 0
    }

    package func submitWhereRoom(_ operation: Operation) throws(VerbenaError) -> Int? {
        host.point()
        let now = host.now()
        let slot = try inbox.withLock { (inbox) throws(VerbenaError) -> Int? in
            if inbox.stop != nil || inbox.isClosing && !isMutated(.lateStart) { throw .communicatorClosed }
            // As a rule the next in turn; those of operations that take long are passed over.
            guard let slot = slots.take(from: inbox.nextSlot) else { return nil }
            inbox.nextSlot = (slot + 1) % OperationSlots.count
            inbox.requests.append((operation, slot, now))
            count(operation)
            return slot
        }
        guard slot != nil else { return nil }
        if usesHooks { hasMail.store(true, ordering: .sequentiallyConsistent) } else { notify() }
        return slot
    }

    package func hasEnded(_ number: Int) -> Bool { slots.hasEnded(number) }

    package func wait(_ number: Int, until deadline: UInt64) throws(VerbenaError) -> OperationRecord? {
        if usesHooks {
            drive(until: number, deadline: deadline)
        }
        // Who only asks whether it has ended, as one does by a time-out that is over, wakes nobody.
        let isAwaited = deadline == .max || host.now() < deadline
        // Another thread drives, which may leave before this operation has ended.
        if usesHooks, isAwaited, slots.markAwaited(number) { bell.ring() }
        let isToHurry = gathersEvents && isAwaited && !slots.hasEnded(number)
        if isToHurry {
            waiters.add(1, ordering: .sequentiallyConsistent)
            waker.wake()
        }
        defer { if isToHurry { waiters.subtract(1, ordering: .relaxed) } }
        guard let (failed, record) = slots.wait(number, until: deadline) else { return nil }
        if failed { throw reason }
        return record
    }

    package func watch(_ number: Int, _ watcher: OperationWatcher) -> Bool {
        guard slots.watch(number, watcher) else { return false }
        // Not at its next nap: who watches drives nothing.
        if usesHooks { bell.ring() }
        return true
    }

    package func stopWatching(_ number: Int, _ watcher: OperationWatcher) { slots.stopAwaiting(number, watcher) }

    package func release(_ number: Int) { slots.free(number) }

    /// Operations whose numbers were not given back.
    package var underWay: Int { slots.underWay }

    package func deliver(_ verdict: Verdict) {
        host.point()
        inbox.withLock { $0.verdict = isMutated(.secondVerdict) ? verdict : $0.verdict ?? verdict }
        notify()
    }

    /// Somebody is to read the inbox: the owner, who may be asleep in the fabric, or the progress thread.
    func notify() {
        hasMail.store(true, ordering: .sequentiallyConsistent)
        host.point()
        if isOwned.load(ordering: .sequentiallyConsistent), !isMutated(.sleepingOwner) { waker.wake() }
        bell.ring()
    }

    /// Has `body` carried out by an owner and waits for its answer.
    /// - Parameter andClose: what was begun before `body` is all that is begun.
    func perform<R: Sendable>(
        andClose: Bool = false, _ body: @escaping @Sendable (inout Executor<F>) throws(FabricError) -> R
    ) throws(VerbenaError) -> R {
        let answer = Answer<R>(host)
        host.point()
        let isOpen = inbox.withLock { inbox in
            guard inbox.stop == nil || isMutated(.unansweredCall) else { return false }
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

    func readMail(_ owned: inout Owned) {
        if !isMutated(.forgottenMail) { hasMail.store(false, ordering: .sequentiallyConsistent) }
        host.point()
        inbox.withLock { inbox in
            swap(&inbox.requests, &owned.mail.requests)
            swap(&inbox.calls, &owned.mail.calls)
            (owned.mail.verdict, owned.mail.stop, owned.mail.isClosing) = (inbox.verdict, inbox.stop, inbox.isClosing)
        }
        if isMutated(.forgottenMail) {
            host.point()
            hasMail.store(false, ordering: .sequentiallyConsistent)
        }
        if let verdict = owned.mail.verdict { end(&owned, with: verdict) }
        for (operation, slot, time) in owned.mail.requests { submit(operation, slot: slot, at: time, to: &owned) }
        owned.mail.requests.removeAll(keepingCapacity: true)
        // After the requests that came before them: what a call sees or changes has its place in the order. A failure is told first: by what the
        // call sees of it, the ranks would blame each other for what only follows from it.
        if !owned.mail.calls.isEmpty { report(&owned) }
        for call in owned.mail.calls { call(&owned.executor) }
        owned.mail.calls.removeAll()
        owned.stopOrderly = owned.stopOrderly ?? owned.mail.stop
        owned.isClosing = owned.mail.isClosing || owned.stopOrderly != nil
    }

    func submit(_ operation: Operation, slot: Int, at time: UInt64, to owned: inout Owned) {
        var operation = operation
        if isMutated(.lostStream) { operation.stream = .bulk }
        do throws(CollectiveError) {
            try owned.executor.submit(operation, number: slot, recordedFrom: time)
        } catch {
            settle(error)
            slots.end(slot, failed: true, nil)
        }
    }
}
