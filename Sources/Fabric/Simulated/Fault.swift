/// Something that goes wrong at a time. A plan is a list of them, so that a failing one can be made shorter.
public struct Fault: Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        /// The rank's process is dead; its kernel tells the peers.
        case crash
        /// Its node is dead, with all ranks on it: nobody tells anybody, writes to it get nowhere.
        case nodeDeath
        /// The rank does not run for `nanoseconds` (SIGSTOP, a debugger, a page fault). What its NIC has been given goes on.
        case pause
        /// The rank computes so many times slower for `nanoseconds`.
        case slowness(factor: Double)
        /// The cable of the rank's NIC is out for `nanoseconds`, both ways: a flap, or a cut where that is longer than the retries last.
        case cableCut
        /// It carries that fraction for `nanoseconds`.
        case slowCable(fraction: Double)
        /// One bit of the next bytes that reach the rank is flipped, unnoticed by any checksum on the way.
        case flippedBit
    }

    public var kind: Kind
    public var rank: Int
    public var atNanoseconds: UInt64
    public var forNanoseconds: UInt64

    public init(_ kind: Kind, rank: Int, atNanoseconds: UInt64, forNanoseconds: UInt64 = 0) {
        self.kind = kind
        self.rank = rank
        self.atNanoseconds = atNanoseconds
        self.forNanoseconds = forNanoseconds
    }

    public var description: String {
        "\(kind) of rank \(rank) at \(atNanoseconds) ns" + (forNanoseconds > 0 ? " for \(forNanoseconds) ns" : "")
    }
}
