import Testing
import Verbena

// SAFETY (whole file): gradients are touched before their announcement and after `synchronize` only, while the communicator is open.
@Suite(.serialized) struct GradientExchangeTests {
    static let model = [300, 7, 0, 20_000, 1, 513].enumerated().map { ParameterLayout(name: "p\($0)", elementCount: $1) }

    static func value(_ rank: Int, _ step: Int, _ parameter: Int, _ element: Int) -> Float {
        Float((rank + 1) * (parameter + 1)) + Float(element % 100) + Float(step)
    }

    @Test(arguments: Fabrics.available, [1, 2, 3])
    func averagesEveryGradientInEveryStep(fabric: FabricChoice, ranks: Int) throws {
        for bucketBytes in [64, 4096, 1 << 20] {
            let outcomes = LocalRanks.run(ranks, fabric: fabric) { communicator in
                let exchange = try GradientExchange(communicator, parameters: Self.model, bucketBytes: bucketBytes)
                for step in 0..<3 {
                    // Each rank in an order of its own.
                    for parameter in Self.model.indices.map({ ($0 + communicator.rank + step) % Self.model.count }) {
                        let view = unsafe exchange.gradient(at: parameter)
                        for element in view.indices { unsafe view[element] = Self.value(communicator.rank, step, parameter, element) }
                        try exchange.gradientReady(parameter)
                    }
                    let report = try exchange.synchronize()
                    guard report.buckets.count == exchange.plan.buckets.count else { throw Wrong("\(report)") }
                    guard abs(report.computeSeconds + report.exposedSeconds - report.stepSeconds) < 1e-6 else { throw Wrong("\(report)") }
                    try Self.check(exchange, step: step, ranks: ranks)
                }
            }
            for outcome in outcomes { _ = try outcome.get() }
        }
    }

    private static func check(_ exchange: GradientExchange, step: Int, ranks: Int) throws {
        for parameter in model.indices {
            let view = unsafe exchange.gradient(at: parameter)
            for element in view.indices {
                let wanted = (0..<ranks).reduce(Float(0)) { $0 + value($1, step, parameter, element) } / Float(ranks)
                guard unsafe view[element] == wanted else {
                    throw Wrong("step \(step), parameter \(parameter)[\(element)]: \(unsafe view[element]), wanted \(wanted)")
                }
            }
        }
    }

    @Test func differentModelsAreToldWhere() {
        let outcomes = LocalRanks.run(3, fabric: .sharedMemory) { communicator in
            var model = Self.model
            if communicator.rank == 2 { model[3].elementCount += 1 }
            _ = try GradientExchange(communicator, parameters: model)
        }
        for outcome in outcomes { expectError(outcome, .disagreed, ["'p3' of 20000", "'p3' of 20001", "rank 2"]) }
    }

    @Test func forgottenGradientIsNamed() {
        let outcomes = LocalRanks.run(1, fabric: .automatic) { communicator in
            let exchange = try GradientExchange(communicator, parameters: Self.model)
            try exchange.gradientReady(5)
            _ = try exchange.synchronize()
        }
        expectError(outcomes[0], .configuration, ["'p0'", "announce every parameter"])
    }

    /// Where nothing more may be under way, a bucket waits: for the exchange's own oldest, or for its caller to try again. None is lost.
    @Test(arguments: [0, 2]) func nothingIsLostWhereThereIsNoRoom(ownUnderWay: Int) throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let model = (0..<5).map { ParameterLayout(name: "p\($0)", elementCount: 3) }
            let exchange = try GradientExchange(communicator, parameters: model, bucketBytes: 1)
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
                guard try exchange.synchronize().buckets.count == 5 else { throw Wrong("a bucket is missing") }
                for operation in others { try operation.wait() }
                for parameter in model.indices {
                    guard unsafe exchange.gradient(at: parameter)[2] == Float(step + parameter) + 0.5 else { throw Wrong("\(parameter)") }
                }
            }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// More buckets than may be under way at once.
    @Test func manyBuckets() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let model = (0..<700).map { ParameterLayout(name: "p\($0)", elementCount: 3) }
            let exchange = try GradientExchange(communicator, parameters: model, bucketBytes: 1)
            for parameter in model.indices.reversed() {
                unsafe exchange.gradient(at: parameter).update(repeating: Float(parameter + communicator.rank))
                try exchange.gradientReady(parameter)
            }
            _ = try exchange.synchronize()
            return model.indices.allSatisfy { unsafe exchange.gradient(at: $0)[2] == Float($0) + 0.5 }
        }
        for outcome in outcomes { #expect(try outcome.get()) }
    }
}
