public import Reduction

extension Costs {
    /// Microseconds that a striped operation should take in a wire format other than plain, by `Compressed`: as if computing and the wire took turns, which is
    /// the longest that it may be.
    /// - Parameter byteCount: of the operation's elements as they are, not encoded.
    public func microseconds(_ format: WireFormat, _ collective: Collective, byteCount: Int, in topology: Topology) -> Double {
        let (ranks, bytes) = (Double(topology.worldSize), Double(byteCount))
        guard ranks > 1 else { return bytes * near.perByte }
        let link = topology.isOneNode ? near : far
        let others = ranks - 1
        let halves = collective == .allReduce ? 2.0 : 1
        // What a rank sends in one half: the encoded parts of all others, or its encoded sum to each of them.
        let sent = others / ranks * bytes * Double(format.byteCount(of: 1 << 12)) / Double(4 << 12)
        let messages = link.latency + halves * link.latency * (1 + 0.25 * (others - 1))
        var perByte = 0.0
        if collective != .gatherStripes { perByte += others / ranks * (encodePerByte + decodePerByte + reducePerByte) }
        if collective != .reduceStripes { perByte += encodePerByte / ranks + decodePerByte }
        return messages + halves * sent * link.perByte + bytes * perByte
    }
}

extension ExecutorSettings {
    /// What a format must save of the predicted time before it is chosen: predictions are not exact, and roundings are not free.
    public static let worthwhileSaving = 0.15

    /// The wire format that pays for striped operations of `float` elements of this size: a pure function of what all ranks agree on, as `choice`.
    ///
    /// It is plain or bfloat16, never one that is predicted to be slower than plain. float16 has the same bytes and a range in which gradients may be lost.
    /// int8 loses so much that it needs residuals, which are memory of the caller's: only somebody who knows the training may ask for it.
    /// - Parameter byteCount: of the operation's elements as they are, not encoded.
    public func worthwhileWire(for collective: Collective, byteCount: Int, stripe: Int) -> WireFormat {
        guard worldSize > 1 else { return .plain }
        let plain = choice(for: collective, byteCount: byteCount, type: .float32, stripe: stripe).predictions[0].microseconds
        let encoded = costs.microseconds(.bfloat16, collective, byteCount: byteCount, in: topology)
        return encoded < (1 - Self.worthwhileSaving) * plain ? .bfloat16 : .plain
    }
}
