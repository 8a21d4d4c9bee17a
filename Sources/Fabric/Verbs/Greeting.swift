import Fabric

/// Who is at the other end of a connection, as it travels in rdma_cm's private data: in the request, in the acceptance and in the refusal.
///
/// On the wire, 48 bytes, big-endian: magic 4, length 1, version 1, kind 1, reason 1, epoch 4, initiator 4, responder 4, world size 4,
/// arrival depth 4, channel index 2, channels per peer 2, job key 16. A request has room for 56; what follows our length is padding.
/// A refusal carries no key: strangers are told nothing that they could use.
struct Greeting: Equatable {
    static let magic: UInt32 = 0x5642_4E41  // "VBNA"
    static let version: UInt8 = 1
    static let byteCount = 48
    /// What rdma_cm leaves of the private data of a request.
    static let requestCapacity = 56

    enum Kind: UInt8 {
        case request = 1
        case acceptance, refusal
    }

    /// What differs; the value travels in a refusal.
    enum Field: UInt8 {
        case protocolMagic = 1
        case protocolVersion, jobKey, epoch, worldSize, channelsPerPeer, arrivalDepth, responderRank, initiatorRank
        case channelIndex

        var name: String {
            switch self {
            case .protocolMagic: "protocol"
            case .protocolVersion: "protocol version"
            case .jobKey: "job key"
            case .epoch: "epoch"
            case .worldSize: "world size"
            case .channelsPerPeer: "channels per peer"
            case .arrivalDepth: "arrival depth"
            case .responderRank: "responder's rank"
            case .initiatorRank: "initiator's rank"
            case .channelIndex: "channel index"
            }
        }
    }

    var kind: Kind
    var reason: Field?
    var epoch: UInt32
    var initiator: UInt32
    var responder: UInt32
    var worldSize: UInt32
    var arrivalDepth: UInt32
    var channelIndex: UInt16
    var channelsPerPeer: UInt16
    var jobKey: [UInt8]

    init(_ kind: Kind, _ configuration: VerbsFabricConfiguration, initiator: Int, responder: Int, channelIndex: Int) {
        self.kind = kind
        reason = nil
        epoch = configuration.epoch
        self.initiator = UInt32(clamping: initiator)
        self.responder = UInt32(clamping: responder)
        worldSize = UInt32(clamping: configuration.worldSize)
        arrivalDepth = UInt32(clamping: configuration.arrivalDepth)
        self.channelIndex = UInt16(clamping: channelIndex)
        channelsPerPeer = UInt16(clamping: configuration.channelsPerPeer)
        jobKey = configuration.jobKey
    }

    /// The refusal of a request: our own side of what was compared, without the key.
    func refusal(because field: Field) -> Greeting {
        var refusal = self
        refusal.kind = .refusal
        refusal.reason = field
        refusal.jobKey = [UInt8](repeating: 0, count: VerbsFabricConfiguration.jobKeyByteCount)
        return refusal
    }
}

extension Greeting {
    /// Compares in the order in which the answers make sense: the key before anything that only a member of the job should hear about.
    func mismatch(with other: Greeting) -> Mismatch? {
        var keyDifference: UInt8 = 0  // no early exit: the time tells nothing about the key
        for (left, right) in zip(jobKey, other.jobKey) { keyDifference |= left ^ right }
        if keyDifference != 0 { return Mismatch(field: .jobKey, ours: "this job's", theirs: "another job's") }
        return numberMismatch(with: other)
    }

    private func numberMismatch(with other: Greeting) -> Mismatch? {
        let pairs: [(Field, UInt32, UInt32)] = [
            (.epoch, epoch, other.epoch),
            (.worldSize, worldSize, other.worldSize),
            (.channelsPerPeer, UInt32(channelsPerPeer), UInt32(other.channelsPerPeer)),
            (.arrivalDepth, arrivalDepth, other.arrivalDepth),
            (.responderRank, responder, other.responder),
            (.initiatorRank, initiator, other.initiator),
            (.channelIndex, UInt32(channelIndex), UInt32(other.channelIndex)),
        ]
        for (field, ours, theirs) in pairs where ours != theirs { return Mismatch(field: field, ours: "\(ours)", theirs: "\(theirs)") }
        return nil
    }

    /// What a refusal says, from the refused side: it names the field, and both values where there are values to name.
    func mismatch(refusedWith refusal: Greeting) -> Mismatch? {
        guard let reason = refusal.reason else { return nil }
        if let number = numberMismatch(with: refusal), number.field == reason { return number }
        let unspoken = reason == .jobKey ? ("this job's", "another job's") : ("as asked", "not expected there")
        return Mismatch(field: reason, ours: unspoken.0, theirs: unspoken.1)
    }

    /// - Throws: the mismatch of magic or version, before anything else of the bytes is believed.
    init(decoding bytes: [UInt8]) throws(Mismatch) {
        var reader = WireReader(bytes)
        let magic: UInt32? = reader.read()
        guard magic == Self.magic, let length: UInt8 = reader.read(), Int(length) <= bytes.count, let version: UInt8 = reader.read() else {
            throw Mismatch(field: .protocolMagic, ours: "Verbena's", theirs: "another")
        }
        guard version == Self.version, Int(length) == Self.byteCount else {
            throw Mismatch(field: .protocolVersion, ours: "\(Self.version)", theirs: "\(version)")
        }
        guard
            let kind = reader.read().flatMap(Kind.init(rawValue:)), let reason: UInt8 = reader.read(), let epoch: UInt32 = reader.read(),
            let initiator: UInt32 = reader.read(), let responder: UInt32 = reader.read(), let worldSize: UInt32 = reader.read(),
            let arrivalDepth: UInt32 = reader.read(), let channelIndex: UInt16 = reader.read(), let channelsPerPeer: UInt16 = reader.read(),
            let jobKey = reader.read(count: VerbsFabricConfiguration.jobKeyByteCount)
        else {
            throw Mismatch(field: .protocolMagic, ours: "Verbena's", theirs: "another")
        }
        self.kind = kind
        self.reason = Field(rawValue: reason)
        self.epoch = epoch
        self.initiator = initiator
        self.responder = responder
        self.worldSize = worldSize
        self.arrivalDepth = arrivalDepth
        self.channelIndex = channelIndex
        self.channelsPerPeer = channelsPerPeer
        self.jobKey = jobKey
    }

    var encoded: [UInt8] {
        var writer = WireWriter()
        writer.append(Self.magic)
        writer.append([UInt8(Self.byteCount), Self.version, kind.rawValue, reason?.rawValue ?? 0])
        for value in [epoch, initiator, responder, worldSize, arrivalDepth] { writer.append(value) }
        for value in [channelIndex, channelsPerPeer] { writer.append(value) }
        writer.append(jobKey)
        return writer.bytes
    }
}
