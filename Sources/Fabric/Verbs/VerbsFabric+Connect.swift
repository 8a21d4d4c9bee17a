public import Fabric
import Verbs

// The lower rank of a pair initiates, the higher answers. One loop drives both kinds of channels by rdma_cm's events.
extension VerbsFabric {
    /// A waker ends it, for a job that is known to be over has no need of connections: that throws `.timedOut` too, and blames nobody.
    public mutating func connect(to endpoints: [Int: [UInt8]], deadline: FabricInstant) throws(FabricError) {
        guard channels.isEmpty, !isClosed else { fatalError("VerbsFabric.connect called twice") }
        guard !endpoints.isEmpty else { return }
        try layOut(endpoints)
        var ends: [Int: [RouteEnd]] = [:]
        for (peer, endpoint) in endpoints { ends[peer] = try self.ends(of: peer, endpoint) }
        for slot in channels.indices {
            let (peer, device) = (channels[slot].channel.peer, channels[slot].device)
            guard let theirs = ends[peer]?[device] else { fatalError("VerbsFabric: connecting to rank \(peer) without its endpoint") }
            let ours = devices[device].end
            channels[slot].largestPathMTU = min(ours.mtu, theirs.mtu)
            channels[slot].routes = ours.routes(to: theirs)
            guard !channels[slot].routes.isEmpty else { throw noCommonFamily(peer, device, ours, theirs) }
            if rank < peer { try resolve(slot, deadline) }
        }
        while let missing = channels.firstIndex(where: { $0.stage != .established }) {
            guard let event = try nextConnectionEvent(until: deadline) else { throw deadlinePassed(missing) }
            try advance(event, deadline)
        }
        for peer in endpoints.keys { peers[peer].phase = .open }
    }

    /// Makes the tables and the completion queue, sized for exactly these peers. Channels of a peer take the devices in turn.
    private mutating func layOut(_ endpoints: [Int: [UInt8]]) throws(FabricError) {
        let ofOnePeer = (configuration.channelsPerPeer + devices.count - 1) / devices.count
        let spread = try spread(channelsPerDevice: endpoints.count * ofOnePeer)
        for (position, peer) in endpoints.keys.sorted().enumerated() {
            guard peers.indices.contains(peer), peer != rank else { fatalError("VerbsFabric.connect: rank \(peer) is not a peer") }
            peers[peer].phase = .connecting
            peers[peer].firstSlot = channels.count
            for index in 0..<configuration.channelsPerPeer {
                let (turn, device) = index.quotientAndRemainder(dividingBy: devices.count)
                let part = device * spread.queues + (position * ofOnePeer + turn) / spread.perQueue
                channels.append(ChannelState(channel: Channel(peer: peer, index: index), device: device, part: part))
            }
        }
        heldBack.reserveCapacity(channels.count)
        let (devices, capacity) = (devices, configuration.limits.completionsPerQueue ?? spread.perQueue * sizes.completions)
        completions = try wrapping(.connect) { () throws(VerbsError) in
            try CompletionQueue(on: devices.map(\.context), capacity: capacity, partsPerDevice: spread.queues)
        }
    }

    /// One queue of each device where it takes all channels, else as few as do. Soft-RoCE's takes 32,767 completions: 20 channels of the
    /// default depths.
    private func spread(channelsPerDevice count: Int) throws(FabricError) -> (perQueue: Int, queues: Int) {
        let (devices, sizes) = (devices, sizes)
        return try wrapping(.connect) { () throws(VerbsError) in
            var spread = (perQueue: count, queues: 1)
            for device in devices {
                let limits = try device.context.limits()
                guard count <= limits.queuePairs, max(sizes.receives, sizes.sends) <= limits.workRequestsPerQueue,
                    let fitting = sizes.spread(channels: count, limit: limits.completionsPerQueue)
                else {
                    throw VerbsError(
                        .resource, call: "ibv_create_cq", errno: 0,
                        detail:
                            "\(count) channels of \(sizes.sends) sends and \(sizes.receives) receives; \(device.name) takes "
                            + "\(limits.queuePairs) queue pairs, \(limits.workRequestsPerQueue) requests on each side of one and "
                            + "\(limits.completionsPerQueue) completions a queue",
                        remedy: "choose smaller depths or fewer channels")
                }
                if fitting.queues > spread.queues { spread = fitting }
            }
            return spread
        }
    }

    /// Where a peer listens, on each device.
    private func ends(of peer: Int, _ endpoint: [UInt8]) throws(FabricError) -> [RouteEnd] {
        guard let ends = Endpoint(decoding: endpoint)?.devices else {
            throw FabricError(
                .wrongPeer, during: .connect, peer: peer, detail: "an endpoint of \(endpoint.count) bytes is not one of this fabric",
                remedy: "run the same version and the same fabric on every rank")
        }
        guard ends.count == devices.count else {
            throw FabricError(
                .wrongPeer, during: .connect, peer: peer,
                detail: "devices per rank differ: ours \(devices.count) (\(deviceName)), theirs \(ends.count)",
                remedy: "start all ranks with the same number of devices per rank")
        }
        return ends
    }

    private func noCommonFamily(_ peer: Int, _ device: Int, _ ours: RouteEnd, _ theirs: RouteEnd) -> FabricError {
        func list(_ end: RouteEnd) -> String { end.places.map { "\($0.subnet)" }.joined(separator: ", ") }
        return FabricError(
            .peerUnreachable, during: .connect, peer: peer,
            detail: "address families differ: device \(devices[device].name) has \(list(ours)), the device of rank \(peer) \(list(theirs))",
            remedy: "give both ports addresses of one family, IPv4 or IPv6, and name none of another with --device NAME@ADDRESS")
    }

    /// The initiator's first step, taken again when an attempt timed out.
    private mutating func resolve(_ slot: Int, _ deadline: FabricInstant) throws(FabricError) {
        let peer = channels[slot].channel.peer
        let timeout = min(milliseconds(until: deadline), Self.resolveAttemptMilliseconds)
        let (manager, route) = (manager, route(slot))
        channels[slot].connection = try wrapping(.connect, peer: peer) { () throws(VerbsError) in
            let connection = try Connection(manager, token: slot + 1)
            try connection.resolve(route.destination, from: route.source, timeoutMilliseconds: timeout)
            return connection
        }
        channels[slot].stage = .resolvingAddress
    }

    /// The way that is tried at present: each in turn, several times.
    private func route(_ slot: Int) -> Route {
        let routes = channels[slot].routes
        return routes[channels[slot].attempts / Self.attemptsPerRoute % routes.count]
    }

    private func milliseconds(until deadline: FabricInstant) -> Int { Int(clamping: deadline.since(now()) / 1_000_000) + 1 }

    /// - Returns: nil when the deadline has passed.
    private mutating func nextConnectionEvent(until deadline: FabricInstant) throws(FabricError) -> ConnectionEvent? {
        while true {
            let manager = manager
            if let event = try wrapping(.connect, { () throws(VerbsError) in try manager.nextEvent() }) { return event }
            if let failure = deviceFailure(during: .connect) { throw failure.error }
            let remaining = deadline.since(now())
            if remaining == 0 { return nil }
            sleepers.wait(nanoseconds: remaining)
            if sleepers.isReadable(0..<1) {
                wakeDescriptor.drain()
                throw FabricError(.timedOut, during: .connect, detail: "this rank gave up waiting for connections before the deadline")
            }
        }
    }

    /// One step of one channel.
    private mutating func advance(_ event: ConnectionEvent, _ deadline: FabricInstant) throws(FabricError) {
        if event.kind == .request { return try answer(event) }
        if event.kind == .deviceRemoved { throw deviceRemoved(event.token, during: .connect) }
        let slot = event.token - 1
        guard channels.indices.contains(slot), let connection = channels[slot].connection else { return }
        let peer = channels[slot].channel.peer
        switch (event.kind, channels[slot].stage) {
        case (.addressResolved, .resolvingAddress):
            let timeout = milliseconds(until: deadline)
            try wrapping(.connect, peer: peer) { () throws(VerbsError) in try connection.resolveRoute(timeoutMilliseconds: timeout) }
            channels[slot].stage = .resolvingRoute
        case (.addressFailed, .resolvingAddress) where event.hasTimedOut:
            channels[slot].attempts += 1
            try resolve(slot, deadline)
        case (.routeResolved, .resolvingRoute): try request(slot, connection)
        case (.accepted, .requesting):
            try check(reply: event, slot)
            try wrapping(.connect, peer: peer) { () throws(VerbsError) in try connection.confirm() }
            channels[slot].stage = .established
        case (.established, .accepting): channels[slot].stage = .established
        case (.rejected, .requesting): throw rejected(event, slot)
        // Its verdict belongs to the data path: it may have written and taken leave while we still wait for others.
        case (.disconnected, .established): channelDisconnected(slot)
        case (.other, _): break
        default: throw failed(event, slot)
        }
    }

    /// The initiator's queue pair and request.
    private mutating func request(_ slot: Int, _ connection: Connection) throws(FabricError) {
        let channel = channels[slot].channel
        try prepareQueuePair(slot, connection)
        let greeting = Greeting(.request, configuration, initiator: rank, responder: channel.peer, channelIndex: channel.index)
        try wrapping(.connect, peer: channel.peer) { () throws(VerbsError) in try connection.connect(privateData: greeting.encoded) }
        channels[slot].stage = .requesting
    }

    /// A queue pair with all its receives posted: the peer may write as soon as it knows of us.
    private mutating func prepareQueuePair(_ slot: Int, _ connection: Connection) throws(FabricError) {
        let peer = channels[slot].channel.peer
        let (domain, part) = (devices[channels[slot].device].domain, channels[slot].part)
        guard let completions else { fatalError("VerbsFabric: connecting without a completion queue") }
        let sizes = sizes
        connection.largestPathMTU = channels[slot].largestPathMTU
        channels[slot].queuePair = try wrapping(.connect, peer: peer) { () throws(VerbsError) in
            guard connection.runs(on: domain.device) else {
                throw VerbsError(
                    .noRoute, call: "rdma_resolve_route", errno: 0, detail: "the way does not lead through \(domain.device.name)",
                    remedy: VerbsError.remedy(for: .noRoute))
            }
            let queuePair = try QueuePair(
                on: connection, domain: domain, completions: completions, part: part, sends: sizes.sends, receives: sizes.receives,
                chainCapacity: sizes.chain,
                inlineByteCount: Self.inlineByteCount)
            try queuePair.postReceives(identifier: WorkRequestTag(.receive, slot: slot).identifier, count: sizes.receives)
            return queuePair
        }
    }

    // MARK: The answering side

    private mutating func answer(_ event: ConnectionEvent) throws(FabricError) {
        guard let connection = event.connection else { return }
        switch expectedSlot(of: event.privateData) {
        case .failure(let refusal):
            refuse(connection, refusal)
            if refusal.mismatch.isOfThisJob { throw wrongPeer(refusal.claimedRank, refusal.mismatch) }
        case .success(let slot):
            let channel = channels[slot].channel
            connection.adopt(token: slot + 1)
            channels[slot].connection = connection
            try prepareQueuePair(slot, connection)
            let greeting = Greeting(.acceptance, configuration, initiator: channel.peer, responder: rank, channelIndex: channel.index)
            try wrapping(.connect, peer: channel.peer) { () throws(VerbsError) in try connection.accept(privateData: greeting.encoded) }
            channels[slot].stage = .accepting
        }
    }

    /// A request that is turned down.
    private struct Refusal: Error {
        var mismatch: Mismatch
        /// Whom it said to be, where that much could be read.
        var claimedRank: Int?
        var channelIndex = 0
    }

    /// The channel that a request is for, or why it is for none.
    private func expectedSlot(of privateData: [UInt8]) -> Result<Int, Refusal> {
        let theirs: Greeting
        do throws(Mismatch) {
            theirs = try Greeting(decoding: privateData)
        } catch {
            return .failure(Refusal(mismatch: error))
        }
        let (peer, index) = (Int(theirs.initiator), Int(theirs.channelIndex))
        let ours = Greeting(.request, configuration, initiator: peer, responder: rank, channelIndex: index)
        if let mismatch = ours.mismatch(with: theirs) {
            return .failure(Refusal(mismatch: mismatch, claimedRank: peer, channelIndex: index))
        }
        guard theirs.kind == .request, peer < rank, peers[peer].phase == .connecting else {
            let mismatch = Mismatch(field: .initiatorRank, ours: "no request of it expected", theirs: "\(peer)")
            return .failure(Refusal(mismatch: mismatch, claimedRank: peer, channelIndex: index))
        }
        let slot = peers[peer].firstSlot + index
        guard index < configuration.channelsPerPeer, channels[slot].stage == .awaitingRequest else {
            let mismatch = Mismatch(field: .channelIndex, ours: "connected already or unknown", theirs: "\(index)")
            return .failure(Refusal(mismatch: mismatch, claimedRank: peer, channelIndex: index))
        }
        return .success(slot)
    }

    private mutating func refuse(_ connection: Connection, _ refusal: Refusal) {
        if let peer = refusal.claimedRank, peers.indices.contains(peer) { refusals[peer] = refusal.mismatch }
        let ours = Greeting(
            .refusal, configuration, initiator: refusal.claimedRank ?? 0, responder: rank, channelIndex: refusal.channelIndex)
        // Not being able to tell a stranger why is no matter: without an answer it times out.
        try? connection.reject(privateData: ours.refusal(because: refusal.mismatch.field).encoded)
    }

    /// After `connect` nobody is expected any more.
    mutating func refuseLateRequest(_ event: ConnectionEvent) {
        guard let connection = event.connection else { return }
        switch expectedSlot(of: event.privateData) {
        case .failure(let refusal): refuse(connection, refusal)
        case .success: try? connection.reject(privateData: [])  // It comes after a `connect` that gave up.
        }
    }

    // MARK: Verdicts

    private func wrongPeer(_ peer: Int?, _ mismatch: Mismatch) -> FabricError {
        FabricError(
            .wrongPeer, during: .connect, peer: peer, detail: "\(mismatch)",
            remedy: "start all ranks with the same job, secret, options and version")
    }

    private func check(reply event: ConnectionEvent, _ slot: Int) throws(FabricError) {
        let channel = channels[slot].channel
        let ours = Greeting(.acceptance, configuration, initiator: rank, responder: channel.peer, channelIndex: channel.index)
        let mismatch: Mismatch?
        do throws(Mismatch) {
            mismatch = ours.mismatch(with: try Greeting(decoding: event.privateData))
        } catch {
            mismatch = error
        }
        if let mismatch { throw wrongPeer(channel.peer, mismatch) }
    }

    private func rejected(_ event: ConnectionEvent, _ slot: Int) -> FabricError {
        let channel = channels[slot].channel
        let ours = Greeting(.request, configuration, initiator: rank, responder: channel.peer, channelIndex: channel.index)
        do throws(Mismatch) {
            let refusal = try Greeting(decoding: event.privateData)
            if refusal.kind == .refusal, let mismatch = ours.mismatch(refusedWith: refusal) { return wrongPeer(channel.peer, mismatch) }
        } catch {
            if error.field == .protocolVersion { return wrongPeer(channel.peer, error) }
        }
        let (way, status) = (route(slot), "reject reason \(event.status)")
        func error(_ cause: FabricError.Cause, _ detail: String, _ remedy: String = "") -> FabricError {
            FabricError(cause, during: .connect, peer: channel.peer, detail: "\(detail) (\(status), from \(way))", remedy: remedy)
        }
        switch event.status {
        case 8: return error(.peerDied, "nobody of this job listens at its address any more")
        // Rejected by the program; the kernel says it in the peer's name when the peer cannot accept, and when it ends.
        case 28: return error(.peerDied, "it failed while it accepted the connection, or ended", "see what that rank says")
        case 1, 3:
            return error(
                .peerDied, "it has no room for one more connection", "use fewer channels (--queue-pairs), and see what that rank says")
        case 10: return error(.peerUnreachable, "its device still holds an older connection of the same number", "start the job again")
        default: return error(.peerUnreachable, "its connection manager refused the request", VerbsError.remedy(for: .noRoute))
        }
    }

    private func failed(_ event: ConnectionEvent, _ slot: Int) -> FabricError {
        let stage = channels[slot].stage
        let died = stage == .accepting || event.kind == .disconnected
        let device = devices[channels[slot].device]
        let way = rank < channels[slot].channel.peer ? ", from \(route(slot))" : ""
        let detail = "\(event.name) with status \(event.status) while \(stage.rawValue), on device \(device.name)\(way)\(device.noticeText)"
        return FabricError(
            died ? .peerDied : .peerUnreachable, during: .connect, peer: channels[slot].channel.peer, detail: detail,
            remedy: died ? "" : VerbsError.remedy(for: .noRoute))
    }

    /// Names all missing ranks. A rank that was refused is not late but wrong.
    private func deadlinePassed(_ slot: Int) -> FabricError {
        let missing = Set(channels.filter { $0.stage != .established }.map(\.channel.peer)).sorted()
        if let peer = missing.first(where: { refusals[$0] != nil }), let mismatch = refusals[peer] { return wrongPeer(peer, mismatch) }
        let others = missing.dropFirst().map(String.init).joined(separator: ", ")
        let (stage, device) = (channels[slot].stage.rawValue, devices[channels[slot].device].name)
        let detail =
            "no connection before the deadline, \(stage), on device \(device)" + (others.isEmpty ? "" : "; also missing: \(others)")
        return FabricError(
            .timedOut, during: .connect, peer: channels[slot].channel.peer, detail: detail,
            remedy: "see whether that rank still runs, and what it says")
    }
}
