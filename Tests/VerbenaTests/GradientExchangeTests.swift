import Testing
import Verbena

// SAFETY (whole file): gradients are touched before their announcement and after they were waited for only, while the communicator is open.
@Suite(.serialized) struct GradientExchangeTests {
    static let model = [300, 7, 0, 20_000, 1, 513].enumerated().map { ParameterLayout(name: "p\($0)", elementCount: $1) }

    static func value(_ rank: Int, _ step: Int, _ parameter: Int, _ element: Int) -> Float {
        Float((rank + 1) * (parameter + 1)) + Float(element % 100) + Float(step)
    }

    /// Writes and announces, each rank in an order of its own.
    static func announceAll(_ exchange: GradientExchange, rank: Int, step: Int, _ factor: Float = 1) throws {
        for parameter in model.indices.map({ ($0 + rank + step) % model.count }) {
            let view = unsafe exchange.gradient(at: parameter)
            for element in view.indices { unsafe view[element] = factor * value(rank, step, parameter, element) }
            try exchange.gradientReady(parameter)
        }
    }

    /// - Parameter weights: of the ranks' values in the result.
    static func check(_ exchange: GradientExchange, _ parameters: [Int]? = nil, step: Int, weights: [Float]) throws {
        for parameter in parameters ?? Array(model.indices) {
            let view = unsafe exchange.gradient(at: parameter)
            for element in view.indices {
                let wanted = weights.enumerated().reduce(Float(0)) { $0 + $1.element * value($1.offset, step, parameter, element) }
                guard unsafe abs(view[element] - wanted) <= abs(wanted) * 1e-6 else {
                    throw Wrong("step \(step), parameter \(parameter)[\(element)]: \(unsafe view[element]), wanted \(wanted)")
                }
            }
        }
    }

    static func run<R: Sendable>(
        _ ranks: Int, fabric: FabricChoice = .sharedMemory, _ settings: GradientSettings = GradientSettings(),
        _ body: @escaping @Sendable (GradientExchange, Int) throws -> R
    ) -> LocalRanks.Outcomes<R> {
        LocalRanks.run(ranks, fabric: fabric) { communicator in
            try body(try GradientExchange(communicator, parameters: model, settings: settings), communicator.rank)
        }
    }

    static func expectSuccess<R>(_ outcomes: LocalRanks.Outcomes<R>) throws { for outcome in outcomes { _ = try outcome.get() } }

    // MARK: sharing the update

    /// Each element is updated once, by one rank, which gets the average, and all get what that has made of it.
    @Test(arguments: [1, 2, 3], [GradientSettings.BucketSize.fixed(64), .fixed(4096), .planned])
    func ranksShareAnUpdate(ranks: Int, bucketSize: GradientSettings.BucketSize) throws {
        let outcomes = LocalRanks.run(ranks, fabric: .sharedMemory) { communicator in
            let rank = communicator.rank
            let exchange = try GradientExchange(
                communicator, parameters: Self.model, settings: GradientSettings(bucketSize: bucketSize, allowsUnused: ranks == 2),
                update: { parameter, elements, values in for index in values.indices { values[index] *= Float(2 + parameter) } })
            for step in 0..<3 {
                try Self.announceAll(exchange, rank: rank, step: step)
                try exchange.synchronize()
                for parameter in Self.model.indices {
                    let weight = Float(2 + parameter) / Float(ranks)
                    try Self.check(exchange, [parameter], step: step, weights: Array(repeating: weight, count: ranks))
                }
            }
            do {
                _ = try exchange.synchronize(clippingNorm: 1)
                throw Wrong("clipped after the update")
            } catch let error as VerbenaError {
                guard error.cause == .configuration else { throw error }
            }
            return Self.model.indices.map { exchange.ownedElements(of: $0) }
        }
        let owned = try outcomes.map { try $0.get() }
        for (parameter, layout) in Self.model.enumerated() {
            let ranges = owned.flatMap { $0[parameter] }.sorted { $0.lowerBound < $1.lowerBound }
            #expect(ranges.flatMap { Array($0) } == Array(0..<layout.elementCount), "parameter \(parameter)")
        }
    }

    // MARK: results

    @Test(arguments: Fabrics.available, [1, 2, 3])
    func averagesEveryGradientInEveryStep(fabric: FabricChoice, ranks: Int) throws {
        for bucketSize in [GradientSettings.BucketSize.fixed(64), .fixed(4096), .fixed(1 << 20), .ddp] {
            for schedule in GradientSettings.Schedule.allCases {
                let settings = GradientSettings(bucketSize: bucketSize, schedule: schedule)
                try Self.expectSuccess(
                    Self.run(ranks, fabric: fabric, settings) { exchange, rank in
                        for step in 0..<3 {
                            try Self.announceAll(exchange, rank: rank, step: step)
                            let report = try exchange.synchronize()
                            guard report == exchange.lastReport else { throw Wrong("\(report)") }
                            guard abs(report.computeSeconds + report.exposedSeconds - report.stepSeconds) < 1e-6 else {
                                throw Wrong("\(report)")
                            }
                            try Self.check(exchange, step: step, weights: Array(repeating: 1 / Float(ranks), count: ranks))
                        }
                    })
            }
        }
    }

    /// The step ends with the last wait; the ranks wait in different orders, and before the first step for nothing.
    @Test(arguments: GradientSettings.Schedule.allCases, [256, 4096, 1 << 20])
    func eachParameterIsWaitedForAlone(schedule: GradientSettings.Schedule, bucketBytes: Int) throws {
        try Self.expectSuccess(
            Self.run(3, GradientSettings(bucketSize: .fixed(bucketBytes), schedule: schedule)) { exchange, rank in
                for step in 0..<5 {
                    for index in Self.model.indices {
                        let parameter = rank == 1 ? Self.model.count - 1 - index : index
                        try exchange.wait(for: parameter)
                        if step > 0 { try Self.check(exchange, [parameter], step: step - 1, weights: [1 / 3, 1 / 3, 1 / 3]) }
                    }
                    guard (exchange.lastReport != nil) == (step > 0) else { throw Wrong("step \(step)") }
                    try Self.announceAll(exchange, rank: rank, step: step)
                }
                try exchange.synchronize()
            })
    }

    @Test func sums() throws {
        try Self.expectSuccess(
            Self.run(2, GradientSettings(combination: .sum)) { exchange, rank in
                try Self.announceAll(exchange, rank: rank, step: 0)
                try exchange.synchronize()
                try Self.check(exchange, step: 0, weights: [1, 1])
            })
    }

    /// A weight of 0 clears what is there, NaN, too. The next step is an average again.
    @Test func weights() throws {
        try Self.expectSuccess(
            Self.run(3) { exchange, rank in
                try exchange.setWeight([3, 0, 1][rank])
                try Self.announceAll(exchange, rank: rank, step: 0, rank == 1 ? .nan : 1)
                try exchange.synchronize()
                try Self.check(exchange, step: 0, weights: [0.75, 0, 0.25])
                try Self.announceAll(exchange, rank: rank, step: 1)
                try exchange.synchronize()
                try Self.check(exchange, step: 1, weights: [1 / 3, 1 / 3, 1 / 3])
            })
    }

    @Test func allElementTypes() throws {
        let model = (ParameterLayout.types + ParameterLayout.types).enumerated().map {
            ParameterLayout(name: "p\($0)", elementCount: 1000 + $0, type: $1)
        }
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let exchange = try GradientExchange(communicator, parameters: model, settings: GradientSettings(bucketSize: .fixed(1024)))
            func fill<E: Element>(_ index: Int, _: E.Type, _ convert: (Float) -> E) {
                let view = unsafe exchange.gradient(at: index, as: E.self)
                for element in view.indices { unsafe view[element] = convert(Float(element % 64 * 2 + 2 * communicator.rank)) }
            }
            func check<E: Element>(_ index: Int, _: E.Type, _ convert: (E) -> Float) throws {
                let view = unsafe exchange.gradient(at: index, as: E.self)
                for element in view.indices where unsafe convert(view[element]) != Float(element % 64 * 2 + 1) {
                    throw Wrong("parameter \(index)[\(element)]: \(unsafe view[element])")
                }
            }
            for index in model.indices.reversed() {
                switch model[index].type {
                case .float32: fill(index, Float.self) { $0 }
                case .float64: fill(index, Double.self) { Double($0) }
                case .float16: fill(index, Float16.self) { Float16($0) }
                default: fill(index, BFloat16.self) { BFloat16($0) }
                }
                try exchange.gradientReady(index)
            }
            let norm = try exchange.synchronize(clippingNorm: .infinity)
            var squares = 0.0
            for parameter in model {
                for element in 0..<parameter.elementCount { squares += Double((element % 64 * 2 + 1) * (element % 64 * 2 + 1)) }
            }
            guard abs(norm / squares.squareRoot() - 1) < 1e-12 else { throw Wrong("norm \(norm), wanted \(squares.squareRoot())") }
            for index in model.indices {
                switch model[index].type {
                case .float32: try check(index, Float.self) { $0 }
                case .float64: try check(index, Double.self) { Float($0) }
                case .float16: try check(index, Float16.self) { Float($0) }
                default: try check(index, BFloat16.self) { $0.float }
                }
            }
        }
        try Self.expectSuccess(outcomes)
        let integers = LocalRanks.run(1, fabric: .automatic) { communicator in
            _ = try GradientExchange(communicator, parameters: [ParameterLayout(name: "ids", elementCount: 3, type: .int32)])
        }
        expectError(integers[0], .configuration, ["'ids'", "int32", "bfloat16"])
    }

    @Test func clippingBoundsTheNormOfAll() throws {
        let outcomes = Self.run(2) { exchange, rank -> Double in
            try Self.announceAll(exchange, rank: rank, step: 0)
            let norm = try exchange.synchronize(clippingNorm: 10)
            try Self.check(exchange, step: 0, weights: [Float(5 / norm), Float(5 / norm)])
            let bound = norm * 2
            try Self.announceAll(exchange, rank: rank, step: 0)
            guard try exchange.synchronize(clippingNorm: bound) == norm else { throw Wrong("another norm") }
            try Self.check(exchange, step: 0, weights: [0.5, 0.5])
            return norm
        }
        #expect(try outcomes[0].get() == outcomes[1].get() && outcomes[0].get() > 1000)
    }

    // MARK: what takes no part

    /// Parameter 0 is used by nobody, 1 by rank 0, 3 by all; the others are not announced by rank 1.
    @Test(arguments: GradientSettings.Schedule.allCases) func unusedParametersAreZero(schedule: GradientSettings.Schedule) throws {
        let settings = GradientSettings(bucketSize: .fixed(1024), schedule: schedule, allowsUnused: true)
        try Self.expectSuccess(
            Self.run(2, settings) { exchange, rank in
                for step in 0..<2 {
                    for parameter in Self.model.indices { unsafe exchange.gradient(at: parameter).update(repeating: 8) }
                    try exchange.gradientReady(3)
                    if rank == 0 {
                        try exchange.gradientUnused(0)
                        for parameter in [1, 4, 5] { try exchange.gradientReady(parameter) }
                    }
                    try exchange.endBackward()
                    for parameter in Self.model.indices { try exchange.wait(for: parameter) }
                    for (parameter, wanted) in [0: 0, 1: 4, 3: 8, 4: 4, 5: 4] as [Int: Float] {
                        guard unsafe exchange.gradient(at: parameter).allSatisfy({ $0 == wanted }),
                            try exchange.wasUsed(parameter) == (parameter != 0)
                        else { throw Wrong("step \(step), parameter \(parameter): \(unsafe exchange.gradient(at: parameter)[0])") }
                    }
                }
            })
    }

    @Test func aForgottenGradientIsNamed() {
        let outcomes = Self.run(1) { exchange, _ in
            try exchange.gradientReady(5)
            expectError(Result { try exchange.wasUsed(0) }, .configuration, ["allowsUnused"])
            try exchange.synchronize()
        }
        expectError(outcomes[0], .configuration, ["'p0'", "'p1'", "gradientUnused"])
    }

    /// Two passes here, one that is exchanged; parameter 5 is in the first only.
    @Test func passesWithoutSynchronizationAreAdded() throws {
        try Self.expectSuccess(
            Self.run(2) { exchange, rank in
                for pass in 0..<3 {
                    func backward() throws {
                        for parameter in Self.model.indices where parameter != 5 || pass == 0 {
                            let view = unsafe exchange.gradient(at: parameter)
                            for element in view.indices {
                                let gradient = Self.value(rank, 0, parameter, element) / (parameter == 5 ? 1 : 3)
                                unsafe view[element] = (pass == 0 ? 0 : view[element]) + gradient
                            }
                            try exchange.gradientReady(parameter)
                        }
                    }
                    if pass < 2 { try exchange.withoutSynchronization(backward) } else { try backward() }
                }
                try exchange.synchronize()
                try Self.check(exchange, step: 0, weights: [0.5, 0.5])
            })
    }

    // MARK: rules

    @Test func mistakesAreNamed() throws {
        try Self.expectSuccess(
            Self.run(2, GradientSettings(bucketSize: .fixed(1024))) { exchange, rank in
                func expectMistake(_ words: String..., body: () throws -> Void) {
                    expectError(Result(catching: body), .configuration, words)
                }
                expectMistake("gradient 6 does not exist", "0 to 5") { try exchange.gradientReady(6) }
                expectMistake("gradient 6 does not exist") { try exchange.wait(for: 6) }
                expectMistake("-1") { try exchange.setWeight(-1) }
                expectMistake("sum to 0") { try exchange.setWeight(0) }
                try exchange.gradientReady(5)
                expectMistake("'p5'", "announced twice") { try exchange.gradientReady(5) }
                expectMistake("'p0'", "does not travel yet", "endBackward") { try exchange.wait(for: 0) }
                expectMistake("setWeight", "inside a step") { try exchange.setWeight(1) }
                expectMistake("withoutSynchronization", "inside a step") { try exchange.withoutSynchronization {} }
                for parameter in Self.model.indices.dropLast() { try exchange.gradientReady(parameter) }
                try exchange.wait(for: 5)
                expectMistake("before 'p0'", "wait(for:)") { try exchange.gradientReady(5) }
                try exchange.synchronize()
            })
    }

    @Test func differentModelsAndSettingsAreToldWhere() {
        let outcomes = LocalRanks.run(3, fabric: .sharedMemory) { communicator in
            var model = Self.model
            if communicator.rank == 2 { model[3].elementCount += 1 }
            _ = try GradientExchange(communicator, parameters: model)
        }
        for outcome in outcomes { expectError(outcome, .disagreed, ["'p3' of 20000", "'p3' of 20001", "rank 2"]) }
        let settings = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let size = GradientSettings.BucketSize.fixed(1024 << communicator.rank)
            _ = try GradientExchange(communicator, parameters: Self.model, settings: GradientSettings(bucketSize: size))
        }
        for outcome in settings { expectError(outcome, .disagreed, ["1024", "2048", "rank 1"]) }
    }

    /// Each parameter by a thread of its own, all at once.
    @Test(arguments: GradientSettings.Schedule.allCases) func anyThreadMayAnnounce(schedule: GradientSettings.Schedule) throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let model = (0..<16).map { ParameterLayout(name: "p\($0)", elementCount: 700) }
            let exchange = try GradientExchange(
                communicator, parameters: model, settings: GradientSettings(bucketSize: .fixed(1024), schedule: schedule))
            for step in 0..<20 {
                try onThreads(16) { parameter in
                    unsafe exchange.gradient(at: parameter).update(repeating: Float(step + parameter + communicator.rank))
                    try exchange.gradientReady(parameter)
                }
                try onThreads(4) { thread in
                    for parameter in stride(from: thread, to: 16, by: 3) where parameter < 15 { try exchange.wait(for: parameter) }
                }
                try exchange.wait(for: 15)
                for parameter in model.indices {
                    guard unsafe exchange.gradient(at: parameter).allSatisfy({ $0 == Float(step + parameter) + 0.5 }) else {
                        throw Wrong("step \(step), parameter \(parameter)")
                    }
                }
            }
        }
        try Self.expectSuccess(outcomes)
    }

    // MARK: room

    /// Where nothing more may be under way, a bucket waits: for the exchange's own oldest, or for its caller to try again. None is lost.
    @Test(arguments: [0, 2]) func nothingIsLostWhereThereIsNoRoom(ownUnderWay: Int) throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let model = (0..<5).map { ParameterLayout(name: "p\($0)", elementCount: 256) }
            let exchange = try GradientExchange(communicator, parameters: model, settings: GradientSettings(bucketSize: .fixed(1)))
            let buffer = try communicator.allocate(Float.self, count: 1)
            for step in 0..<3 {
                for parameter in model.indices {
                    unsafe exchange.gradient(at: parameter).update(repeating: Float(step + parameter + communicator.rank))
                }
                for parameter in [4, 3].prefix(ownUnderWay) { try exchange.gradientReady(parameter) }
                // Those of its own that are under way, and as many others as there is room for.
                var others = try (0..<512 - ownUnderWay).map { _ in try communicator.start(.allReduce, buffer, count: 1) }
                for parameter in model.indices.reversed().dropFirst(ownUnderWay) {
                    let first = Result { try exchange.gradientReady(parameter) }
                    if case .success = first { continue }
                    expectError(first, .configuration, ["512 operations", "call again"])
                    expectError(Result { try exchange.gradientReady(parameter) }, .configuration, ["512 operations"])
                    for operation in others.suffix(2) { try operation.wait() }
                    others.removeLast(2)
                    try exchange.gradientReady(parameter)
                }
                try exchange.synchronize()
                for operation in others { try operation.wait() }
                for parameter in model.indices {
                    guard unsafe exchange.gradient(at: parameter)[2] == Float(step + parameter) + 0.5 else { throw Wrong("\(parameter)") }
                }
            }
        }
        try Self.expectSuccess(outcomes)
    }

    /// More buckets than may be under way at once.
    @Test(arguments: GradientSettings.Schedule.allCases) func manyBuckets(schedule: GradientSettings.Schedule) throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let model = (0..<700).map { ParameterLayout(name: "p\($0)", elementCount: 256) }
            let exchange = try GradientExchange(
                communicator, parameters: model, settings: GradientSettings(bucketSize: .fixed(1), schedule: schedule))
            for parameter in model.indices.reversed() {
                unsafe exchange.gradient(at: parameter).update(repeating: Float(parameter + communicator.rank))
                try exchange.gradientReady(parameter)
            }
            for parameter in model.indices { try exchange.wait(for: parameter) }
            return model.indices.allSatisfy { unsafe exchange.gradient(at: $0)[2] == Float($0) + 0.5 }
        }
        for outcome in outcomes { #expect(try outcome.get()) }
    }
}
