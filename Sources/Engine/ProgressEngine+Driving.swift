internal import CPlatform
internal import Collectives
internal import Fabric
internal import Synchronization

/// Driving: what the owner does, a caller with its own operation or the progress thread with all others.
extension ProgressEngine where F: ~Copyable {
    /// No exchange: it would cost a small operation more than a hundredth.
    @inline(__always)
    func count(_ operation: Operation) {
        guard operation.collective.peer == nil else { return }
        if operation.stream == .bulk {
            begun.store(begun.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        } else {
            begunUrgent.store(begunUrgent.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        }
    }

    /// Carries out an operation, on this thread where the engine has nothing else to do, and returns when it has ended.
    /// - Parameter milliseconds: until the operation has failed as one that stands still, with a verdict; `.max` for no such time.
    package func run(_ operation: Operation, milliseconds: UInt64 = .max) throws(VerbenaError) {
        let deadline = milliseconds == .max ? .max : host.now() + milliseconds * 1_000_000
        guard tryOwn() else {
            let number = try submit(operation)
            defer { release(number) }
            guard try wait(number, until: deadline) == nil else { return }
            // Where the engine stops, everything ends without it.
            try? perform { (executor) throws(FabricError) in executor.timeOut(number: number, milliseconds: milliseconds) }
            _ = try wait(number)
            return
        }
        // SAFETY: this thread owns it until `disown`.
        let failure = unsafe runOwned(operation, milliseconds: milliseconds, until: deadline, &owned.pointee)
        // While the engine is closing, the progress thread says when nothing is under way.
        let needsThread = unsafe needsThread(&owned.pointee)
        disown(hasWork: needsThread)
        if failure { throw reason }
    }

    /// - Returns: whether the operation failed.
    @inline(__always)
    func runOwned(_ operation: Operation, milliseconds: UInt64, until deadline: UInt64, _ owned: inout Owned) -> Bool {
        if hasMail.load(ordering: .acquiring) { readMail(&owned) }
        guard !owned.isClosing || isMutated(.lateCall) else { return true }
        count(operation)
        do throws(CollectiveError) {
            try owned.executor.submit(operation, number: Self.ownNumber)
        } catch {
            settle(error)
            return true
        }
        owned.ownEnd = .awaited
        var looks = 0
        while owned.ownEnd == .awaited {
            if isOver(deadline, afterLook: &looks, &owned) { owned.executor.timeOut(number: Self.ownNumber, milliseconds: milliseconds) }
            if hasMail.load(ordering: .relaxed) {
                readMail(&owned)
                if owned.stopOrderly != nil, !isMutated(.unheardStop) { end(&owned) }
            }
        }
        defer { owned.ownEnd = .none }
        return owned.ownEnd == .failed
    }

    /// One look of a caller that waits for an operation: does what there is to do; where there is nothing, looks a few times and then rests.
    /// - Parameter looks: in a row that found nothing; 0 before the first.
    /// - Returns: whether the deadline has passed, at which not every look looks.
    @inline(__always)
    func isOver(_ deadline: UInt64, afterLook looks: inout Int, _ owned: inout Owned) -> Bool {
        if owned.executor.progress() || owned.executor.hasFinished {
            report(&owned)
            looks = 0
        } else if looks < callerLooks {
            looks += 1
            if looks > WaitPolicy.looksWithoutPause { platform_pause() }
        } else {
            rest(&owned, until: deadline)
        }
        return deadline != .max && (looks & 63 == 0 || looks >= callerLooks) && host.now() >= deadline
    }

    func progressThread() {
        let meter = host.runDelayMeter()
        progressMeter.withLock { $0 = meter }
        // Last, when the fabric is gone: whoever waits for the stop finds it so.
        defer {
            if !isMutated(.undrainedEnd) { drained.signal() }
            ended.signal()
        }
        while true {
            var seen = bell.count
            host.point()
            var milliseconds = usesHooks ? Self.takeOverMilliseconds : Self.idleMilliseconds
            if tryOwn() {
                // SAFETY: this thread owns it until `disown`, or for good.
                if usesHooks { unsafe milliseconds = watchOwned(&owned.pointee) } else { unsafe driveOwned(&owned.pointee) }
                if let orderly = unsafe owned.pointee.stopOrderly {
                    unsafe close(&owned.pointee, orderly: orderly)
                    unsafe owned.deinitialize(count: 1)
                    unsafe owned.deallocate()
                    return
                }
                if unsafe owned.pointee.isClosing { drained.signal() }
                disown(hasWork: false)
            }
            if isMutated(.missedRing) { seen = bell.count }
            // Between reading the count and here somebody may have rung: then this returns at once.
            bell.wait(seen: seen, milliseconds: milliseconds)
        }
    }

    /// Drives the executor as long as there is something to do, or until the engine stops; with hooks, as long as something happens.
    func driveOwned(_ owned: inout Owned) {
        var looks = 0
        repeat {
            if hasMail.load(ordering: .acquiring) { readMail(&owned) }
            if isMutated(.hastyClose), owned.mail.isClosing { drained.signal() }
            let progressed = owned.executor.progress()
            report(&owned)
            looks = progressed ? 0 : looks + 1
            let mayRest = owned.stopOrderly == nil || isMutated(.restingStop)
            guard looks > WaitPolicy.progressLooks, mayRest, owned.executor.hasWork, !hasMail.load(ordering: .acquiring) else { continue }
            guard isNeeded(owned) else {
                lookForTrouble(&owned)
                return report(&owned)
            }
            rest(&owned, isPatient: waiters.load(ordering: .sequentiallyConsistent) == 0)
        } while owned.stopOrderly == nil && (owned.executor.hasWork || hasMail.load(ordering: .acquiring))
    }

    /// Nothing to do but to wait for the peers.
    /// - Parameter isPatient: see `Executor.wait`.
    func rest(_ owned: inout Owned, until deadline: UInt64 = .max, isPatient: Bool = false) {
        lookForTrouble(&owned)
        guard !owned.executor.hasFinished else { return }
        let now = deadline == .max ? 0 : host.now()
        owned.executor.wait(milliseconds: min(Self.busyMilliseconds, (max(deadline, now) - now) / 1_000_000 + 1), isPatient: isPatient)
    }

    private func lookForTrouble(_ owned: inout Owned) {
        owned.executor.checkStall(longestGapMilliseconds: isMutated(.countedPause) ? .max : Self.longestGapMilliseconds)
        tellLongWait(&owned)
    }

    /// Tells the others for whom a caller waits, every few seconds: that peer may be waiting for this rank in a gather, where the fabric does not
    /// look. Of operations for whose end nobody waits yet nothing is told: their caller may be on the way to that gather.
    func tellLongWait(_ owned: inout Owned) {
        let now = host.now()
        guard now - owned.toldAt >= Self.longWaitMilliseconds * 1_000_000 else { return }
        owned.toldAt = now
        let waitedFor = owned.waitedFor
        let wait = owned.executor.longWait(milliseconds: Self.longWaitMilliseconds / 2) {
            $0 == Self.ownNumber || $0 == waitedFor || slots.isAwaited($0)
        }
        guard let wait else { return }
        group.reportWaiting(in: wait.operation, number: wait.number, order: Int(wait.stream.rawValue), for: wait.peer)
    }

    func close(_ owned: inout Owned, orderly: Bool) {
        if owned.executor.hasWork { end(&owned) }
        if orderly { owned.executor.close(milliseconds: Self.closeMilliseconds) }
        end(&owned)
    }
}
