// What the executor itself costs: nanoseconds of an operation in which no core waits for another. All ranks are driven in turn by one thread over
// shared memory; a figure is the time of all of them divided by their number. What data costs is the kernels' affair (Benchmarks/kernels).
import Collectives

for ranks in [2, 4] {
    print("\(ranks) ranks")
    let world = try World(ranks: ranks)
    try world.report("barrier", .barrier, byteCount: 0)
    for algorithm in [Algorithm.oneShot, .bruck, .recursiveDoubling, .direct, .ring] where ranks >= 4 || algorithm != .recursiveDoubling {
        try world.report("8 B allreduce, \(algorithm.rawValue)", .allReduce, byteCount: 8, algorithm)
    }
    // Each of the 2 (N - 1) turns receives a chunk, sums or copies it, and sends one.
    try world.report("a ring's turn", .allReduce, byteCount: 8, .ring, dividedBy: 2 * (ranks - 1))
}
