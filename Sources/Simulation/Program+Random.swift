internal import Collectives
internal import Gradients
internal import Reduction
internal import SimulatedFabric

// The same for the same draws, whatever is left out of it.
extension Program {
    /// - Parameter first: the number of the first operation.
    mutating func drawOperations(_ random: inout SeededRandom, first: Int = 0, most: Int, limits: Limits) {
        for number in 0..<random.within(1...most) {
            var draw = SeededRandom(seed: random.next())
            var operation = plan(number, &draw, halvings: limits.halvings)
            operation.number += first
            if limits.operations?.contains(operation.number) ?? true { operations.append(operation) }
        }
    }

    private func plan(_ number: Int, _ random: inout SeededRandom, halvings: Int) -> Planned {
        let kind = drawKind(&random)
        let type = random.pick(ElementType.allCases)
        let reduction = random.pick(ReductionOperation.allCases)
        let size = random.pick([0, 1, 2, 7, 30, 100, 300, 1000, 4000])
        var count = (size <= 2 ? size : random.within(size / 2...size * 3 / 2)) >> halvings
        if count > 2, Self.multiplies(kind) { count = max(2, count / worldSize) }
        let isAllToAll = kind == .collective(.allToAll)
        var isInPlace = random.chance(perMille: 500) && !isAllToAll
        let wish = random.below(1000)
        let place = random.chance(perMille: 400) ? random.below(number + 1) : number
        var algorithm: Algorithm?
        if case .collective(let collective) = kind {
            // What came later is drawn last, so that a seed keeps the rest of its world.
            let possible = settings.algorithms(for: collective, byteCount: count * type.byteCount).filter {
                ![.recursiveDoubling, .halvingDoubling].contains($0)
            }
            if wish < 800, !possible.isEmpty { algorithm = possible[wish % possible.count] }
        }
        let isExact = type.isInteger || random.chance(perMille: 700)
        if kind == .collective(.allReduce), random.chance(perMille: 250),
            settings.algorithms(for: .allReduce, byteCount: count * type.byteCount).contains(.recursiveDoubling)
        {
            algorithm = .recursiveDoubling
        }
        if kind == .collective(.allReduce), random.chance(perMille: 300),
            settings.algorithms(for: .allReduce, byteCount: count * type.byteCount).contains(.halvingDoubling)
        {
            algorithm = .halvingDoubling
        }
        if isAllToAll { isInPlace = random.chance(perMille: 500) }
        var operation = Planned(
            number: number, kind: kind, type: type, reduction: reduction, count: count, isInPlace: isInPlace, algorithm: algorithm,
            place: place, isExact: isExact)
        drawCounts(&operation, &random, wish: wish)
        operation.isPrivate = number % 3 == 1 && canBePrivate(operation)
        return operation
    }

    private func canBePrivate(_ operation: Planned) -> Bool {
        guard case .collective(let collective) = operation.kind, [.allReduce, .allGather, .reduceScatter, .allToAll].contains(collective)
        else { return false }
        let possible = settings.algorithms(
            for: collective, byteCount: operation.count * operation.type.byteCount, isUneven: operation.matrix != nil, isPrivate: true)
        return operation.algorithm.map(possible.contains) ?? !possible.isEmpty
    }

    private func drawCounts(_ operation: inout Planned, _ random: inout SeededRandom, wish: Int) {
        guard case .collective(let collective) = operation.kind, [.allGather, .reduceScatter, .allToAll].contains(collective),
            random.chance(perMille: 400)
        else { return }
        let isSparse = random.chance(perMille: 300)
        operation.matrix = (0..<worldSize).map { _ in
            (0..<worldSize).map { _ in isSparse && random.chance(perMille: 500) ? 0 : random.within(0...operation.count) }
        }
        if collective == .allToAll { operation.isInPlace = false }
        let possible = settings.algorithms(for: collective, byteCount: operation.count * operation.type.byteCount, isUneven: true)
        operation.algorithm = wish < 800 && !possible.isEmpty ? possible[wish % possible.count] : nil
    }

    /// Whether input or output is as many times the count as there are ranks.
    private static func multiplies(_ kind: Planned.Kind) -> Bool {
        switch kind {
        case .collective(.allReduce), .collective(.broadcast), .collective(.reduce), .pointToPoint: false
        default: true
        }
    }

    private func drawKind(_ random: inout SeededRandom) -> Planned.Kind {
        let (first, second) = (random.below(1 << 20), random.below(1 << 20))
        let root = first % worldSize
        switch random.below(16) {
        case 0..<5: return .collective(.allReduce)
        case 5: return .collective(.reduceScatter)
        case 6: return .collective(.allGather)
        case 7: return .collective(.allToAll)
        case 8: return .collective(.barrier)
        case 9: return .collective(.broadcast(root: root))
        case 10: return .collective(.reduce(root: root))
        case 11: return .collective(.gather(root: root))
        case 12: return .collective(.scatter(root: root))
        default:
            guard worldSize > 1 else { return .collective(.allReduce) }
            return .pointToPoint(from: root, to: (root + 1 + second % (worldSize - 1)) % worldSize)
        }
    }

    mutating func drawTraining(_ random: inout SeededRandom, limits: Limits) {
        let isDrawn = random.chance(perMille: 300)
        let layouts = (0..<random.within(1...6)).map { ParameterLayout(name: "p\($0)", elementCount: random.within(1...300)) }
        let bucketBytes = random.pick([1, 256, 2048])
        let steps = random.within(1...4)
        guard isDrawn, limits.hasTraining else { return }
        // What was not drawn at first has draws of its own, so that a seed keeps the rest of its world.
        var later = SeededRandom(seed: seed ^ Self.trainingDraws)
        let layout = GradientLayout(parameters: layouts, tracksUse: later.chance(perMille: 300))
        var plan = BucketPlan(layout, bucketBytes: bucketBytes)
        let plans = (0..<steps).map { step in
            if step == 0 || later.chance(perMille: 500) { plan = Self.drawPlan(layout, bucketBytes: bucketBytes, &later) }
            return plan
        }
        training = Training(layout: layout, plans: plans, mutation: limits.mutation.flatMap { TrainingMutation(rawValue: $0) })
        // With room for blocks, half of the trainers have a wire format, and keep residuals.
        if stripeOfGradients(.float32) >= WireFormat.blockElements, later.chance(perMille: 500) {
            training?.wire = later.pick([.bfloat16, .float16, .int8, .int8])
        }
    }

    private static let trainingDraws: UInt64 = 0x7472_6169_6e73

    private static func drawPlan(_ layout: GradientLayout, bucketBytes: Int, _ random: inout SeededRandom) -> BucketPlan {
        let schedule = random.pick(GradientSettings.Schedule.allCases)
        let urgentBelow = random.pick([0, 0, 1, 2, 100])
        if random.chance(perMille: 300) { return BucketPlan(layout, bucketBytes: bucketBytes, schedule: schedule) }
        let cuts = layout.sections.map { section in
            (0..<random.below(5)).map { _ in GradientLayout.granule * random.below(1 + section.elementCount / GradientLayout.granule) }
        }
        return BucketPlan(layout, cuts: cuts, schedule: schedule, urgentBelow: urgentBelow)
    }

    /// Numbers of those in which a rank that does something else does not escape notice.
    var noticedOperations: [Int] {
        operations.filter { if case .collective(let what) = $0.kind { what != .barrier } else { false } }.map(\.number)
    }
}
