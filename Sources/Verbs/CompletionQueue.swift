internal import CVerbs

/// A queue of completions with descriptors to sleep on.
///
/// It is made of one queue of a device, or of several *parts*, where one does not take enough or there are several devices: queue pairs
/// are spread over them, and the owner sees one. What completes on different parts comes in any order. Completions are fetched in batches
/// into memory of the queue's own and taken from there one by one, so that the data path allocates nothing. Ends after all queue pairs on
/// it, which hold it. Threads: one at a time.
/// Source: ibv_poll_cq(3), ibv_get_cq_event(3): events are acknowledged in batches, and all of them before the end.
@safe
public final class CompletionQueue {
    /// Completions fetched at once.
    public static let batchCapacity = 32
    /// Events after which the acknowledgement, which takes a lock, is due.
    static let acknowledgementBatch: UInt32 = 64

    /// One queue of the device.
    @safe
    private struct Part {
        let raw: UnsafeMutablePointer<ibv_cq>
        /// The position of its device.
        let device: Int
        var isArmed = false
        var unacknowledged: UInt32 = 0
    }

    /// A device, and the channel on which all its parts report.
    @safe
    private struct Origin {
        let context: DeviceContext
        let channel: UnsafeMutablePointer<ibv_comp_channel>
    }

    private var queues: [Part] = []
    private var devices: [Origin] = []
    private let batch: UnsafeMutablePointer<ibv_wc>
    /// The part to look at first: each gets its turn.
    private var turn = 0
    private var next = 0
    private var count = 0

    /// - Parameters:
    ///   - devices: at least 1; part p is on device p / `partsPerDevice`.
    ///   - capacity: completions of each part that may be unread at the same time; more of them break the queue.
    ///   - partsPerDevice: at least 1.
    /// - Throws: `.resource` where a device takes less.
    public init(on devices: [DeviceContext], capacity: Int, partsPerDevice: Int = 1) throws(VerbsError) {
        unsafe batch = .allocate(capacity: Self.batchCapacity)
        unsafe batch.initialize(repeating: ibv_wc(), count: Self.batchCapacity)
        // SAFETY: the contexts are open as long as `devices` live. Channels and queues are this object's until deinit, which runs after
        // a throw as well, as everything is initialised.
        for (position, device) in devices.enumerated() {
            let channel = unsafe try notNull("ibv_create_comp_channel", "on \(device.name)") { unsafe ibv_create_comp_channel(device.raw) }
            unsafe self.devices.append(Origin(context: device, channel: channel))
            try makeNonBlocking(unsafe channel.pointee.fd)
            for _ in 0..<partsPerDevice {
                let raw = unsafe try notNull("ibv_create_cq", "for \(capacity) completions on \(device.name)") {
                    unsafe ibv_create_cq(device.raw, Int32(clamping: capacity), nil, channel, 0)
                }
                unsafe queues.append(Part(raw: raw, device: position))
            }
        }
    }

    deinit {
        // SAFETY: queue pairs hold this object, so none is left; destroying waits for acknowledgements, so those come first.
        reportingFailure { () throws(VerbsError) in
            for queue in queues {
                unsafe ibv_ack_cq_events(queue.raw, queue.unacknowledged)
                try errnoValue("ibv_destroy_cq", "on \(devices[queue.device].context.name)", unsafe ibv_destroy_cq(queue.raw))
            }
            for device in devices {
                try errnoValue("ibv_destroy_comp_channel", "on \(device.context.name)", unsafe ibv_destroy_comp_channel(device.channel))
            }
        }
        unsafe batch.deallocate()
    }

    /// How many queues of devices it is made of.
    public var parts: Int { queues.count }

    func raw(_ part: Int) -> UnsafeMutablePointer<ibv_cq> { unsafe queues[part].raw }  // SAFETY: good as long as this object lives.

    /// Whether fetched completions wait to be taken.
    public var isEmpty: Bool { next == count }

    /// Fetches completions if none are left from before. Never blocks.
    /// - Returns: whether there is something to take.
    public func fetch() throws(VerbsError) -> Bool {
        guard next == count else { return true }
        next = 0
        count = 0
        for _ in queues.indices {
            // SAFETY: the batch has room for this many and is ours alone.
            let fetched = unsafe ibv_poll_cq(queues[turn].raw, Int32(Self.batchCapacity), batch)
            guard fetched >= 0 else {
                throw VerbsError(
                    .system, call: "ibv_poll_cq", errno: -fetched,
                    detail: "the completion queue of \(devices[queues[turn].device].context.name) is broken")
            }
            turn = turn + 1 == queues.count ? 0 : turn + 1
            if fetched > 0 {
                count = Int(fetched)
                return true
            }
        }
        return false
    }

    /// The next fetched completion without taking it, nil where there is none.
    public func peek() -> Completion? {
        guard next < count else { return nil }
        // SAFETY: `next` is below the number that ibv_poll_cq initialised.
        return unsafe Completion(batch + next)
    }

    /// Takes the next fetched completion, nil where there is none.
    public func take() -> Completion? {
        guard let completion = peek() else { return nil }
        next += 1
        return completion
    }
}

extension CompletionQueue {
    /// One of each device, in order; readable after `arm` when a completion has come there.
    public var descriptors: [Int32] {
        devices.map { unsafe $0.channel.pointee.fd }  // SAFETY: the channels are open as long as this object lives.
    }

    /// Asks for an event with the next completion. Those already there give none: fetch once more before sleeping.
    public func arm() throws(VerbsError) {
        for index in queues.indices where !queues[index].isArmed {
            // SAFETY: the queue is open as long as this object lives.
            try errnoValue(
                "ibv_req_notify_cq", "on \(devices[queues[index].device].context.name)", unsafe ibv_req_notify_cq(queues[index].raw, 0))
            queues[index].isArmed = true
        }
    }

    /// Takes the events for which `descriptors` were readable. Never blocks. An armed part gives one event: no more are looked for,
    /// since each look is a system call.
    public func drainEvents() {
        for device in devices.indices {
            while queues.contains(where: { $0.isArmed && $0.device == device }), takeEvent(of: device) {}
        }
    }

    /// - Returns: whether there was one.
    private func takeEvent(of device: Int) -> Bool {
        var raw: UnsafeMutablePointer<ibv_cq>?
        var context: UnsafeMutableRawPointer?
        // SAFETY: locals, written during the call only; the channel carries events of these queues alone.
        guard unsafe ibv_get_cq_event(devices[device].channel, &raw, &context) == 0,
            let index = queues.firstIndex(where: { unsafe $0.raw == raw })
        else { return false }
        queues[index].isArmed = false
        queues[index].unacknowledged += 1
        if queues[index].unacknowledged >= Self.acknowledgementBatch {
            unsafe ibv_ack_cq_events(queues[index].raw, queues[index].unacknowledged)
            queues[index].unacknowledged = 0
        }
        return true
    }
}

extension Completion {
    fileprivate init(_ work: UnsafePointer<ibv_wc>) {
        // SAFETY: the caller's pointer is to an initialised completion; everything is copied.
        identifier = unsafe work.pointee.wr_id
        status = CompletionStatus(rawValue: unsafe work.pointee.status.rawValue)
        let receives: Bool
        switch unsafe work.pointee.opcode {
        case IBV_WC_RECV_RDMA_WITH_IMM: (kind, receives) = (.receivedWrite, true)
        case IBV_WC_RECV: (kind, receives) = (.receivedMessage, true)
        case IBV_WC_RDMA_WRITE, IBV_WC_SEND: (kind, receives) = (.sent, false)
        default: (kind, receives) = (.other, false)
        }
        immediate = receives ? unsafe cverbs_immediate(work) : 0
    }
}
