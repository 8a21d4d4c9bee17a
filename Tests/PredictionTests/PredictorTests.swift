import Gradients
import Prediction
import Testing

struct PredictorTests {
    /// Layers of which the last is the largest, as in convolutional nets.
    static func profile(spread: Double = 0, milliseconds: Double = 2) -> ModelProfile {
        let layers = (0..<8).map { index in
            ModelProfile.Layer(
                name: "\(index)", parameters: [1 << (12 + index), 64], forwardSeconds: milliseconds / 1e3 / 24,
                backwardSeconds: milliseconds / 1e3 / 12)
        }
        return ModelProfile(name: "test", batch: 8, samplesPerEpoch: 8000, layers: layers, spread: spread)
    }

    static func fast() -> Cluster {
        var cluster = Cluster(name: "fast")
        cluster.nicGigabytesPerSecond = 1e6
        cluster.memoryGigabytesPerSecond = 1e6
        cluster.reduceGigabytesPerSecond = 1e6
        (cluster.latencyMicroseconds, cluster.memoryLatencyMicroseconds, cluster.messageMicroseconds) = (0, 0, 0)
        return cluster
    }

    @Test func aNetworkThatCostsNothingScalesPerfectly() throws {
        for row in try Predictor(Self.profile(), on: Self.fast()).rows(ranks: [1, 2, 8]) {
            #expect(abs(row.efficiency - 1) < 1e-3, "\(row)")
            #expect(abs(row.stepSeconds - 2e-3) < 2e-6, "\(row)")
        }
    }

    @Test func theSameSeedGivesTheSameBytes() throws {
        var predictor = Predictor(Self.profile(spread: 0.05), on: Cluster(name: "c"))
        predictor.cluster.latencyJitterMicroseconds = 1
        func json() throws -> String { try PredictionDocument(predictor, ranks: [1, 4]).json }
        let first = try json()
        #expect(try json() == first)
        predictor.settings.seed = 2
        #expect(try json() != first)
    }

    @Test func aSlowNetworkTakesWhatTheRingTakes() throws {
        // 2 (N-1)/N of the bytes over the wire, and nothing worth speaking of beside it.
        var predictor = Predictor(Self.profile(milliseconds: 0.01), on: Self.fast())
        predictor.cluster.nicGigabytesPerSecond = 0.1
        predictor.settings.bucketSize = .fixed(1 << 30)
        predictor.settings.schedule = .allReduce
        let row = try predictor.rows(ranks: [4])[0]
        let bytes = Double(4 * Self.profile().parameterCount)
        let formula = 2 * 3.0 / 4 * bytes / 0.1e9
        #expect(abs(row.stepSeconds / formula - 1) < 0.02, "\(row.stepSeconds) s, \(formula) s by formula")
    }

    @Test func everyMomentOfAStepHasOneCause() throws {
        for row in try Predictor(Self.profile(spread: 0.1), on: Cluster(name: "c")).rows(ranks: [2, 4]) {
            #expect(abs(row.computeSeconds + row.inputSeconds + row.exposed.total - row.stepSeconds) < 1e-9)
            #expect(row.exposed.latePeer > 0)
        }
    }

    @Test func aSlowNodeHoldsUpAll() throws {
        var predictor = Predictor(Self.profile(), on: Self.fast())
        (predictor.cluster.slowNodes, predictor.cluster.slowFactor) = (1, 1.5)
        let row = try predictor.rows(ranks: [4])[0]
        #expect(abs(row.stepSeconds / 3e-3 - 1) < 0.01, "\(row)")
    }

    @Test func failingStepsAreDoneAgain() throws {
        var predictor = Predictor(Self.profile(), on: Self.fast())
        let whole = try predictor.rows(ranks: [2])[0]
        predictor.cluster.failingSteps = 0.5
        let half = try predictor.rows(ranks: [2])[0]
        #expect(abs(half.samplesPerSecond * 2 / whole.samplesPerSecond - 1) < 1e-6)
        #expect(half.stepSeconds == whole.stepSeconds)
    }

    @Test func worldsThatDoNotFitAreRefused() {
        var predictor = Predictor(Self.profile(), on: Self.fast())
        (predictor.cluster.nodes, predictor.cluster.ranksPerNode) = (4, 2)
        for (ranks, text) in [(3, "3 ranks do not fill nodes of 2"), (10, "10 ranks need 5 nodes"), (0, "0 ranks")] {
            do {
                _ = try predictor.rows(ranks: [ranks])
                Issue.record("\(ranks) were taken")
            } catch {
                #expect("\(error)".hasPrefix(text), "\(error)")
            }
        }
    }

    /// Two layers whose gradients give each of so many ranks equally many whole stripes.
    private static func even(ranks: Int, spread: Double = 0) -> Predictor {
        let layers = (0..<2).map {
            ModelProfile.Layer(name: "\($0)", parameters: [ranks * 4096], forwardSeconds: 0.5e-3, backwardSeconds: 1e-3)
        }
        var predictor = Predictor(ModelProfile(name: "even", batch: 1, layers: layers, spread: spread), on: Cluster(name: "c"))
        predictor.settings.bucketSize = .fixed(ranks * 16384)
        predictor.settings.steps = 2
        return predictor
    }

    private static func bothWays(_ predictor: Predictor, ranks: Int) throws -> (images: Predictor.Row, all: Predictor.Row) {
        var predictor = predictor
        let images = try predictor.rows(ranks: [ranks])[0]
        predictor.settings.simulatesAllRanks = true
        let all = try predictor.rows(ranks: [ranks])[0]
        #expect(all.simulatedRanks == ranks && images.simulatedRanks < ranks)
        return (images, all)
    }

    /// On rings, and in pairs.
    @Test(arguments: zip([(72, 1), (72, 2), (128, 1), (128, 2)], [GradientSettings.Schedule.allReduce, .allReduce, .allReduce, .split]))
    func imagesChangeNothingWhereAllRanksDoTheSame(world: (ranks: Int, perNode: Int), schedule: GradientSettings.Schedule) throws {
        var predictor = Self.even(ranks: world.ranks)
        (predictor.cluster.ranksPerNode, predictor.cluster.nicsPerNode) = (world.perNode, world.perNode)
        predictor.settings.schedule = schedule
        let (images, all) = try Self.bothWays(predictor, ranks: world.ranks)
        #expect(abs(images.stepSeconds / all.stepSeconds - 1) < 1e-3, "\(images)\n\(all)")
    }

    /// Buckets in which each rank has several stripes: what images carry of a half is as long as the bucket.
    @Test(arguments: zip([72, 128], [GradientSettings.Schedule.allReduce, .split]))
    func imagesCarryAllOfALongBucket(ranks: Int, schedule: GradientSettings.Schedule) throws {
        var predictor = Self.even(ranks: ranks)
        predictor.profile.layers = (0..<2).map {
            ModelProfile.Layer(name: "\($0)", parameters: [4 * ranks * 4096], forwardSeconds: 0.5e-3, backwardSeconds: 1e-3)
        }
        predictor.settings.bucketSize = .fixed(4 * ranks * 16384)
        predictor.settings.schedule = schedule
        let (images, all) = try Self.bothWays(predictor, ranks: ranks)
        #expect(abs(images.stepSeconds / all.stepSeconds - 1) < 0.03, "\(images)\n\(all)")
    }

    @Test(arguments: [(72, 6, 1), (128, 28, 1.4)])
    func imagesAreCloseWhereRanksDiffer(ranks: Int, nodesPerLeaf: Int, oversubscription: Double) throws {
        var predictor = Self.even(ranks: ranks, spread: 0.02)
        (predictor.cluster.nodesPerLeaf, predictor.cluster.oversubscription) = (nodesPerLeaf, oversubscription)
        predictor.settings.bucketSize = .fixed(300_000)
        let (images, all) = try Self.bothWays(predictor, ranks: ranks)
        #expect(abs(images.stepSeconds / all.stepSeconds - 1) < 0.03, "\(images)\n\(all)")
    }
}
