// What a message costs on shared memory: nanoseconds of an empty poll, of a round trip, of an exchange among all ranks, and messages a second.
// Ranks are threads of this process; the fabric knows no difference. Each figure is the least and the median of many rounds, because the
// machine may be busy with other things. The raw ping-pong of one cache line is the bound.
import Fabric
import Foundation
import SharedMemoryFabric
import Synchronization

let rounds = 51

Bench.report("poll, nothing there, 1 peer", Bench.emptyPoll(peers: 1))
Bench.report("poll, nothing there, 3 peers", Bench.emptyPoll(peers: 3))
Bench.report("raw cache line, round trip", Bench.rawPingPong())
for byteCount in [0, 8, 40, 64, 4096] {
    Bench.report("\(byteCount) B, round trip", Bench.exchange(ranks: 2, byteCount: byteCount, inTurn: true, spins: 1_000_000))
}
Bench.report("8 B, exchange of 2 ranks", Bench.exchange(ranks: 2, byteCount: 8, inTurn: false, spins: 1_000_000))
Bench.report("8 B, a message of a stream", Bench.stream(byteCount: 8))
for spins in [0, 3, 10, 50] {
    Bench.report("8 B, exchange of 4 ranks, \(spins) spins", Bench.exchange(ranks: 4, byteCount: 8, inTurn: false, spins: spins))
}
