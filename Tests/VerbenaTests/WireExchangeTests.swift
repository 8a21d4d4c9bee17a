import Foundation
import Gradients
import Testing

@testable import Verbena

/// Gradients that travel in a wire format.
// SAFETY (whole file): gradients are touched before their announcement and after they were waited for only, while the communicator is open.
@Suite(.serialized) struct WireExchangeTests {
    static let formats: [WireFormat] = [.bfloat16, .float16, .int8]
    static let model = [300, 7, 0, 9000, 1, 5000].enumerated().map { ParameterLayout(name: "p\($0)", elementCount: $1) }

    /// Any numbers of -1 to 1 of both signs.
    static func value(_ rank: Int, _ step: Int, _ parameter: Int, _ element: Int) -> Float {
        let mixed = UInt64(truncatingIfNeeded: (((rank * 31 + step) * 31 + parameter) << 20) + element) &* 0x9E37_79B9_7F4A_7C15
        return Float(Double(((mixed ^ mixed >> 29) &* 0xBF58_476D_1CE4_E5B9) >> 11) * 0x1p-52 - 1)
    }

    static func run<R: Sendable>(
        _ ranks: Int, fabric: FabricChoice = .sharedMemory, _ settings: GradientSettings, model: [ParameterLayout] = model,
        _ body: @escaping @Sendable (GradientExchange, Int) throws -> R
    ) throws -> [R] {
        try LocalRanks.run(ranks, fabric: fabric) { communicator in
            try body(try GradientExchange(communicator, parameters: model, settings: settings), communicator.rank)
        }
        .map { try $0.get() }
    }

    /// All bits of all gradients after each of three steps, whose errors are held within `bound`.
    static func train(_ exchange: GradientExchange, rank: Int, ranks: Int, bound: Float) throws -> [UInt32] {
        try (0..<3).flatMap { try step($0, exchange, rank: rank, ranks: ranks, bound: bound) }
    }

    /// The same after one step.
    static func step(_ step: Int, _ exchange: GradientExchange, rank: Int, ranks: Int, bound: Float) throws -> [UInt32] {
        var bits: [UInt32] = []
        for parameter in model.indices.map({ ($0 + rank + step) % model.count }) {
            let view = unsafe exchange.gradient(at: parameter)
            for element in view.indices { unsafe view[element] = value(rank, step, parameter, element) }
            try exchange.gradientReady(parameter)
        }
        try exchange.synchronize()
        for parameter in model.indices {
            let view = unsafe exchange.gradient(at: parameter)
            for element in view.indices {
                let found = unsafe view[element]
                let wanted = (0..<ranks).reduce(Float(0)) { $0 + value($1, step, parameter, element) } / Float(ranks)
                guard (found - wanted).magnitude <= bound else {
                    throw Wrong("step \(step), \(parameter)[\(element)]: \(found), \(wanted)")
                }
                bits.append(found.bitPattern)
            }
        }
        return bits
    }

    /// Parts and the sum each lose what docs/NUMBERS.md says; residuals bring the error of the step before.
    static func bound(_ wire: WireFormat) -> Float {
        switch wire {
        case .plain: 0x1p-22
        case .bfloat16: 2 * 0x1p-8
        case .float16: 2 * 0x1p-11
        case .int8: 4 * 1.05 / 254
        }
    }

    // MARK: bits

    /// All ranks hold the same, and by no plan anything else.
    @Test(arguments: formats, [2, 3]) func noPlanChangesABit(wire: WireFormat, ranks: Int) throws {
        var first: [UInt32]?
        for size in [GradientSettings.BucketSize.fixed(1), .fixed(4096), .ddp] {
            for schedule in GradientSettings.Schedule.allCases {
                let settings = GradientSettings(bucketSize: size, schedule: schedule, wire: wire)
                let all = try Self.run(ranks, settings) { exchange, rank in
                    try Self.train(exchange, rank: rank, ranks: ranks, bound: Self.bound(wire))
                }
                let wanted = first ?? all[0]
                first = wanted
                #expect(all.allSatisfy { $0 == wanted }, "\(settings)")
            }
        }
        let plain = try Self.run(ranks, GradientSettings()) { exchange, rank in
            try Self.train(exchange, rank: rank, ranks: ranks, bound: Self.bound(.plain))
        }
        #expect(plain[0] != first, "the format must lose something, or equality would say little")
    }

    @Test(arguments: Fabrics.available) func onEveryFabric(fabric: FabricChoice) throws {
        for wire in Self.formats {
            let all = try Self.run(2, fabric: fabric, GradientSettings(wire: wire)) { exchange, rank in
                try Self.train(exchange, rank: rank, ranks: 2, bound: Self.bound(wire))
            }
            #expect(all[0] == all[1])
        }
    }

    /// A rank alone sends nothing, so it loses nothing and keeps no memory for that.
    @Test func aRankAloneEncodesNothing() throws {
        let residuals = try Self.run(1, GradientSettings(wire: .int8)) { exchange, rank in
            _ = try Self.train(exchange, rank: rank, ranks: 1, bound: 0)
            return exchange.explain().residualByteCount
        }
        #expect(residuals == [0])
    }

    // MARK: residuals

    static let small = [ParameterLayout(name: "small", elementCount: 1024)]

    /// In each block one element of 1000 and others of 0.5, which int8 takes for 0: over many steps they arrive all the same.
    @Test(arguments: GradientSettings.Schedule.allCases) func whatIsLostArrivesLater(schedule: GradientSettings.Schedule) throws {
        let steps = 100
        _ = try Self.run(3, GradientSettings(schedule: schedule, wire: .int8), model: Self.small) { exchange, _ in
            var sum = Array(repeating: Float(0), count: 1024)
            for _ in 0..<steps {
                let view = unsafe exchange.gradient(at: 0)
                for element in view.indices { unsafe view[element] = element % 256 == 0 ? 1000 : 0.5 }
                try exchange.gradientReady(0)
                try exchange.synchronize()
                for element in view.indices { sum[element] += unsafe view[element] }
            }
            for element in sum.indices where element % 256 != 0 && (sum[element] - Float(steps) / 2).magnitude > 2 * 1000 / 127 {
                throw Wrong("element \(element): \(sum[element])")
            }
            let explanation = exchange.explain()
            guard explanation.wire == .int8, explanation.residualByteCount == 4096,
                "\(explanation)".contains("int8, residuals of 4096 bytes")
            else { throw Wrong("\(explanation)") }
        }
    }

    /// What an average has lost comes with a step of weights, and the other way around: as much as was lost, on any number of ranks.
    @Test(arguments: [2, 3], [true, false]) func residualsFitStepsWithWeights(ranks: Int, weightsFirst: Bool) throws {
        _ = try Self.run(ranks, GradientSettings(wire: .int8), model: Self.small) { exchange, rank in
            var sum = Array(repeating: Float(0), count: 1024)
            for step in 0..<2 {
                if (step == 0) == weightsFirst { try exchange.setWeight(2) }
                let view = unsafe exchange.gradient(at: 0)
                for element in view.indices { unsafe view[element] = step == 0 ? 100 * Self.value(rank, 0, 0, element) : 0 }
                try exchange.gradientReady(0)
                try exchange.synchronize()
                for element in view.indices { sum[element] += unsafe view[element] }
            }
            for element in sum.indices {
                let wanted = 100 * (0..<ranks).reduce(Float(0)) { $0 + Self.value($1, 0, 0, element) } / Float(ranks)
                // The first step alone may be 0.8 off, and what it has lost is sent with that much less lost.
                guard (sum[element] - wanted).magnitude < 0.02 else { throw Wrong("element \(element): \(sum[element]), not \(wanted)") }
            }
        }
    }

    // MARK: another format, in a running exchange

    private static let slow: LocalRanks.Configure = { configuration, _ in configuration.link = EmulatedLink("5Mbit,50us") }

    /// bf16 is tried at the first check, on a link where that halves a step: what steps give is that of their own format, and of no other, from the first step by
    /// it on, whether it stays or not.
    @Test func aTrialChangesNothingButTheFormat() throws {
        let all = try LocalRanks.run(2, fabric: .sharedMemory, configure: Self.slow) { communicator in
            let settings = GradientSettings(bucketSize: .fixed(16 << 10), schedule: .allReduce, wire: nil)
            let exchange = try GradientExchange(communicator, parameters: Self.model, settings: settings)
            var (formats, bits): ([WireFormat], [UInt32]) = ([], [])
            for step in 0..<24 {
                formats.append(exchange.explain().wire)
                bits += try Self.step(step, exchange, rank: communicator.rank, ranks: 2, bound: Self.bound(formats[step]))
            }
            return (formats, bits)
        }
        .map { try $0.get() }
        #expect(all[0].0 == all[1].0 && all[0].1 == all[1].1)
        #expect(all[0].0[..<20] == (Array(repeating: .plain, count: 10) + Array(repeating: .bfloat16, count: 10))[...])
    }

    /// What int8 has lost outlasts steps in which gradients travel as they are, and comes when int8 does again.
    @Test(arguments: GradientSettings.Schedule.allCases, [2, 3]) func residualsOutlastAnotherFormat(
        schedule: GradientSettings.Schedule, ranks: Int
    ) throws {
        let all = try LocalRanks.run(ranks, fabric: .sharedMemory, configure: Self.slow) { communicator in
            let settings = GradientSettings(bucketSize: .fixed(2048), schedule: schedule, wire: .int8)
            let exchange = try GradientExchange(communicator, parameters: Self.small, settings: settings)
            func adopt(_ wire: WireFormat) {
                let planner = Planner(exchange.layout, LinkCosts(communicator.engine.settings, wire), schedule: schedule, wire: wire)
                // Other cuts, too.
                exchange.traffic.state.withLock { $0.adopt(planner.firstPlan(.fixed(wire == .plain ? 1024 : 4096)), exchange.layout) }
            }
            var (sum, bits) = (Array(repeating: Float(0), count: 1024), [UInt32]())
            func step(_ value: (Int) -> Float) throws {
                let view = unsafe exchange.gradient(at: 0)
                for element in view.indices { unsafe view[element] = value(element) }
                try exchange.gradientReady(0)
                try exchange.synchronize()
                unsafe bits += view.map(\.bitPattern)
            }
            func add() { for element in sum.indices { sum[element] += unsafe exchange.gradient(at: 0)[element] } }
            // int8 takes all but one element of each block for 0.
            for _ in 0..<3 {
                try step { $0 % 256 == 0 ? 1000 : 0.5 }
                add()
            }
            guard sum[1] == 0 else { throw Wrong("int8 has lost nothing: \(sum[1])") }
            adopt(.plain)
            for _ in 0..<2 {
                try step { Float($0) }
                guard unsafe exchange.gradient(at: 0).enumerated().allSatisfy({ $1 == Float($0) }) else { throw Wrong("fp32 is not exact") }
            }
            adopt(.int8)
            try step { _ in 0 }
            add()
            for element in sum.indices where (sum[element] - (element % 256 == 0 ? 3000 : 1.5)).magnitude > 0.05 {
                throw Wrong("element \(element): \(sum[element])")
            }
            return bits
        }
        .map { try $0.get() }
        #expect(all.allSatisfy { $0 == all[0] })
    }

    /// Where residuals find no room, the gradients' memory goes back, and the ranks may go on without them.
    @Test func memoryGoesBackWhereResidualsFindNoRoom() throws {
        let model = [ParameterLayout(name: "large", elementCount: 1_300_032)]
        let settings = GradientSettings(wire: .int8)
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let layout = GradientLayout(parameters: model, tracksUse: false)
            let byteCount = layout.byteCount + 8 * ArrivalProfile.agreeableCount(parameters: 1)
            let mapped = (byteCount + 4095) / 4096 * 4096
            if communicator.rank == 0 {
                let refused = Result { _ = try GradientExchange(communicator, parameters: model, settings: settings) }
                expectError(refused, .resource, ["rank 1 has no room for \(layout.byteCount) uint8"])
            } else {
                // The words of a rank that has room for the gradients and none for residuals.
                _ = try communicator.allGather(layout.manifest("\(settings)\nwire format int8"), label: "gradient layout")
                let memory = try communicator.allocate(.uint8, count: byteCount)
                // Other tests map and unmap memory while the list is read: one reading may lack what is there.
                let end = Date(timeIntervalSinceNow: 60)
                while try MemoryPoolTests.mappings(mapped).isEmpty {
                    guard Date() < end else { throw Wrong("no mapping of \(mapped) bytes") }
                }
                _ = try communicator.allGather([0], label: "wish for memory")
                try memory.release()
            }
            try communicator.barrier(label: "all have released it")
            let left = try MemoryPoolTests.mappings(mapped)
            guard left.isEmpty else { throw Wrong("\(left)") }
            try communicator.barrier(label: "all have looked")
            let exchange = try GradientExchange(communicator, parameters: model)
            unsafe exchange.gradient(at: 0).update(repeating: Float(communicator.rank))
            try exchange.gradientReady(0)
            try exchange.synchronize()
            guard unsafe exchange.gradient(at: 0).allSatisfy({ $0 == 0.5 }) else { throw Wrong("the mean") }
        }
        for outcome in outcomes { try outcome.get() }
    }

    // MARK: with all else

    /// Two passes that stay here and one that travels, weights, a parameter that nobody uses, and a bound on the norm.
    @Test(arguments: formats) func passesWeightsUnusedAndClipping(wire: WireFormat) throws {
        let settings = GradientSettings(bucketSize: .fixed(4096), allowsUnused: true, wire: wire)
        let norms = try Self.run(2, settings) { exchange, rank -> Double in
            let used = [0, 3, 5]
            func wanted(_ parameter: Int, _ element: Int) -> Float {
                0.75 * Self.value(0, 0, parameter, element) + 0.25 * Self.value(1, 0, parameter, element)
            }
            func backward(_ pass: Int) throws {
                for parameter in used {
                    let view = unsafe exchange.gradient(at: parameter)
                    for element in view.indices {
                        unsafe view[element] = (pass == 0 ? 0 : view[element]) + Self.value(rank, 0, parameter, element) / 2
                    }
                    try exchange.gradientReady(parameter)
                }
            }
            try exchange.withoutSynchronization { try backward(0) }
            try exchange.setWeight(rank == 0 ? 3 : 1)
            try backward(1)
            let norm = try exchange.synchronize(clippingNorm: 10)
            for parameter in used {
                let view = unsafe exchange.gradient(at: parameter)
                for element in view.indices {
                    let difference = unsafe view[element] * Float(norm / 10) - wanted(parameter, element)
                    guard difference.magnitude <= 2 * Self.bound(wire) else {
                        throw Wrong("\(parameter)[\(element)] is off by \(difference)")
                    }
                }
            }
            guard unsafe exchange.gradient(at: 1).allSatisfy({ $0 == 0 }), try !exchange.wasUsed(1), try exchange.wasUsed(3) else {
                throw Wrong("what nobody used")
            }
            return norm
        }
        #expect(norms[0] == norms[1] && norms[0] > 30)
    }

    /// A NaN of one rank is seen by all, and forgotten in the next step.
    @Test(arguments: formats) func notANumberIsSeenByAll(wire: WireFormat) throws {
        _ = try Self.run(2, GradientSettings(wire: wire), model: Self.small) { exchange, rank in
            for step in 0..<2 {
                let view = unsafe exchange.gradient(at: 0)
                unsafe view.update(repeating: 1)
                if step == 0, rank == 1 { unsafe view[700] = .nan }
                try exchange.gradientReady(0)
                try exchange.synchronize()
                guard unsafe view[700].isNaN == (step == 0), unsafe view[0] == 1 else { throw Wrong("step \(step): \(unsafe view[700])") }
            }
        }
    }

    // MARK: mistakes

    @Test func otherTypesAreRefused() {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let model = Self.model + [ParameterLayout(name: "halves", elementCount: 3, type: .bfloat16)]
            _ = try GradientExchange(communicator, parameters: model, settings: GradientSettings(wire: .int8))
        }
        for outcome in outcomes { expectError(outcome, .configuration, ["'halves'", "bfloat16", "int8", "fp32"]) }
    }

    @Test func ranksThatDifferAreTold() {
        let outcomes = LocalRanks.run(3, fabric: .sharedMemory) { communicator in
            let settings = GradientSettings(wire: communicator.rank == 1 ? .int8 : .bfloat16)
            _ = try GradientExchange(communicator, parameters: Self.model, settings: settings)
        }
        for outcome in outcomes {
            expectError(outcome, .disagreed, ["rank 0 has wire format bf16, rank 1 has wire format int8"])
        }
    }
}
