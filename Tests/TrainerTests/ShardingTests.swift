import Testing

@testable import Trainer

@Suite("Sharding")
struct ShardingTests {
    @Test("gives no sample twice and covers the global batches", arguments: [0, 1, 2, 7, 97, 1000], [1, 2, 3, 5, 8])
    func disjointAndCovering(samples: Int, world: Int) {
        for batch in [1, 3, 64] {
            let sharding = Sharding(sampleCount: samples, worldSize: world, batchPerRank: batch, seed: 4)
            let order = sharding.order(epoch: 2)
            #expect(order.sorted() == Array(0..<samples))
            var seen: [Int] = []
            for step in 0..<sharding.stepsPerEpoch {
                for rank in 0..<world {
                    let part = sharding.samples(in: order, step: step, rank: rank)
                    #expect(part.count == batch)
                    seen += part
                }
            }
            #expect(Set(seen).count == seen.count)
            #expect(seen.count == samples - samples % (world * batch))
        }
    }

    @Test("two ranks of batch B see in each step what one rank of batch 2B sees", arguments: [1, 5, 16])
    func sameGlobalBatches(batch: Int) {
        let two = Sharding(sampleCount: 203, worldSize: 2, batchPerRank: batch, seed: 8)
        let one = Sharding(sampleCount: 203, worldSize: 1, batchPerRank: 2 * batch, seed: 8)
        #expect(two.stepsPerEpoch == one.stepsPerEpoch)
        let order = two.order(epoch: 1)
        #expect(order == one.order(epoch: 1))
        for step in 0..<one.stepsPerEpoch {
            let both = two.samples(in: order, step: step, rank: 0) + two.samples(in: order, step: step, rank: 1)
            #expect(Array(both) == Array(one.samples(in: order, step: step, rank: 0)))
        }
    }

    @Test("shuffles by seed and epoch alone")
    func shuffles() {
        func order(_ seed: UInt64, _ epoch: Int) -> [Int] {
            Sharding(sampleCount: 50, worldSize: 3, batchPerRank: 2, seed: seed).order(epoch: epoch)
        }
        #expect(order(1, 0) == order(1, 0))
        #expect(order(1, 0) != order(1, 1))
        #expect(order(1, 0) != order(2, 0))
        #expect(order(1, 0) != Array(0..<50))
    }

    @Test("parts of an evaluation cover everything once", arguments: [0, 1, 6, 2000], [1, 2, 3, 7])
    func parts(count: Int, world: Int) {
        let ranges = (0..<world).map { Sharding.part(of: count, rank: $0, worldSize: world) }
        #expect(ranges.flatMap(Array.init) == Array(0..<count))
        let sizes = ranges.map(\.count)
        #expect(sizes.max()! - sizes.min()! <= 1)
    }
}

@Suite("Seeded generator")
struct SeededGeneratorTests {
    /// From the reference implementation in C (prng.di.unimi.it/splitmix64.c), state 1234567.
    @Test("SplitMix64 gives the reference's numbers")
    func splitMix() {
        var generator = SplitMix64(state: 1_234_567)
        #expect((0..<3).map { _ in generator.next() } == [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423])
    }

    @Test("numbers below a bound are in it, and reach every value", arguments: [1, 2, 3, 10])
    func below(bound: Int) {
        var generator = SeededGenerator(seed: 1, purpose: .shuffle)
        var counts = [Int](repeating: 0, count: bound)
        for _ in 0..<6000 { counts[generator.below(bound)] += 1 }
        // 6000 draws: each count within a quarter of its expectation, ten deviations for bound 10.
        #expect(counts.allSatisfy { abs($0 * bound - 6000) < 1500 })
    }

    @Test("streams differ by seed, purpose and index")
    func streams() {
        var firsts: Set<UInt64> = []
        for seed in UInt64(0)..<4 {
            for purpose in [SeededGenerator.Purpose.parameters, .shuffle, .digits] {
                for index in UInt64(0)..<4 {
                    var generator = SeededGenerator(seed: seed, purpose: purpose, index: index)
                    firsts.insert(generator.next())
                }
            }
        }
        #expect(firsts.count == 48)
    }
}
