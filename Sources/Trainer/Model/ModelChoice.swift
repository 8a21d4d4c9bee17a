public import Verbena

/// The included models, and any other.
public enum ModelChoice: Sendable, Equatable, CustomStringConvertible {
    /// Dense layers with ReLU between them; no hidden layer makes a linear classifier.
    case mlp(hidden: [Int])
    /// 3x3 convolutions of 32 and 64 channels, the largest of each 2x2, a hidden layer of 128.
    case convnet
    /// Source: He et al., arXiv 1512.03385, section 4.2; with projections where the shape changes.
    case resnet20
    /// Predicts the next character: 4 blocks of causal attention (4 heads) and a feed-forward layer, width 128.
    case transformer
    /// The caller's, which the trainer is given.
    case other(name: String)

    /// As `--model` has them.
    public static let names = ["mlp", "convnet", "resnet20", "transformer"]

    public var name: String {
        switch self {
        case .mlp: "mlp"
        case .convnet: "convnet"
        case .resnet20: "resnet20"
        case .transformer: "transformer"
        case .other(let name): name
        }
    }

    public var description: String {
        if case .mlp(let hidden) = self { return "mlp \(hidden.map(String.init).joined(separator: ","))" }
        return name
    }

    /// As checkpoints have it: the description, and of a caller's own model that it is one.
    var text: String {
        if case .other = self { return Self.otherPrefix + name }
        return description
    }

    private static let otherPrefix = "other "

    /// What `text` gives.
    init?(_ text: String) {
        if text.hasPrefix(Self.otherPrefix) {
            self = .other(name: String(text.dropFirst(Self.otherPrefix.count)))
            return
        }
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        switch (words[0], words.count) {
        case ("convnet", 1): self = .convnet
        case ("resnet20", 1): self = .resnet20
        case ("transformer", 1): self = .transformer
        case ("mlp", 2):
            let sizes = words[1].split(separator: ",")
            let hidden = sizes.compactMap { Int($0) }
            guard hidden.count == sizes.count, hidden.allSatisfy({ (1...TrainingSettings.maximumLayerSize).contains($0) }) else {
                return nil
            }
            self = .mlp(hidden: hidden)
        default: return nil
        }
    }

    /// After `--model`.
    var option: String {
        guard case .mlp(let hidden) = self else { return name }
        return "mlp --hidden " + (hidden.isEmpty ? "none" : hidden.map(String.init).joined(separator: ","))
    }

    /// Tokens of a sequence that the transformer sees.
    public static let context = 64

    static let (transformerBlocks, transformerWidth, transformerHeads) = (4, 128, 4)
    /// Below it, pooling leaves nothing.
    private static let smallestImage = 8

    /// For people.
    func title(for data: any Dataset) -> String {
        guard case .mlp(let hidden) = self else { return name }
        return ([data.input.elementCount] + hidden + [data.classCount]).map(String.init).joined(separator: "-")
    }

    func validate() throws(TrainingError) {
        guard case .mlp(let hidden) = self else { return }
        try TrainingSettings.require(
            hidden.allSatisfy { (1...TrainingSettings.maximumLayerSize).contains($0) }, "hidden sizes \(hidden)",
            "give each from 1 to \(TrainingSettings.maximumLayerSize)")
    }

    func validate(for data: DataSplit) throws(TrainingError) {
        if case .other = self { return }
        let isText = data.training is TextDataset
        if (self == .transformer) != isText {
            throw .invalidSetting(
                isText ? "\(name) does not learn from text" : "transformer does not learn from images",
                remedy: isText ? "give --model transformer, or images" : "give --data a text file, or another --model")
        }
        let input = data.training.input
        if self == .convnet || self == .resnet20, min(input.height, input.width) < Self.smallestImage {
            throw .invalidSetting(
                "images of \(input.height) x \(input.width) are too small for \(name)",
                remedy: "give images of at least \(Self.smallestImage) x \(Self.smallestImage), or --model mlp")
        }
    }

    /// The longest sequence that attention is tried on, and the largest image.
    private static let (longestSequence, largestImage) = (1 << 13, 1 << 24)

    /// Whether the model can be made for such samples at all.
    func takes(_ input: Shape) -> Bool {
        switch self {
        case .mlp, .other: input.elementCount <= Self.largestImage
        case .convnet, .resnet20: min(input.height, input.width) >= Self.smallestImage && input.elementCount <= Self.largestImage
        case .transformer: input.height == 1 && input.channels == 1 && input.width <= Self.longestSequence
        }
    }

    /// How many elements its parameters have at least; nil where that is no number.
    func leastElementCount(_ input: Shape, classCount: Int) -> Int? {
        let sizes: [Int]
        switch self {
        case .mlp(let hidden): sizes = [input.elementCount] + hidden + [classCount]
        case .convnet: sizes = [input.height / 2 * (input.width / 2) * 64, 128, classCount]
        case .resnet20: sizes = [64, classCount]
        case .transformer: sizes = [Self.transformerWidth, classCount]
        case .other: sizes = []
        }
        return zip(sizes, sizes.dropFirst()).reduce(0 as Int?) { sum, pair in
            let (product, overflow) = pair.0.multipliedReportingOverflow(by: pair.1)
            guard let sum, !overflow else { return nil }
            let (total, isTooLarge) = sum.addingReportingOverflow(product)
            return isTooLarge ? nil : total
        }
    }

    /// How many ranks may share a copy of the model; each as many heads as every other.
    func validate(tensorRanks count: Int) throws(TrainingError) {
        guard count > 1 else { return }
        guard self == .transformer, Self.transformerHeads.isMultiple(of: count) else {
            throw .invalidSetting(
                "\(name) cannot be divided over \(count) ranks",
                remedy: "give --tensor-parallel 1, or with --model transformer a divisor of its \(Self.transformerHeads) heads")
        }
    }

    /// The model, with its memory for batches of up to `capacity` samples. Collective, where ranks work together in it.
    /// - Parameters:
    ///   - communicator: the ranks whose batches batch norm goes by.
    ///   - team: the ranks that share a copy of the model; nil: each has its own.
    public func make(
        for data: any Dataset, capacity: Int, seed: UInt64, dropout: Float = 0, batchNorm communicator: Communicator? = nil,
        team: Communicator? = nil
    ) throws(VerbenaError) -> LayeredModel {
        try make(
            input: data.input, classCount: data.classCount, capacity: capacity, seed: seed, dropout: dropout, batchNorm: communicator,
            team: team)
    }

    func make(
        input: Shape, classCount: Int, capacity: Int, seed: UInt64, dropout: Float = 0, batchNorm communicator: Communicator? = nil,
        team: Communicator? = nil
    ) throws(VerbenaError) -> LayeredModel {
        try LayeredModel(
            input: input, Builder(capacity: capacity, seed: seed, communicator: communicator)
        ) { (builder) throws(VerbenaError) in
            switch self {
            case .mlp(let hidden): Self.mlp(input, hidden: hidden, classCount: classCount, &builder)
            case .convnet: Self.convnet(input, classCount: classCount, dropout: dropout, &builder)
            case .resnet20: try Self.resnet20(input, classCount: classCount, isSynchronised: communicator != nil, &builder)
            case .transformer:
                try Self.transformer(input, tokenCount: classCount, dropout: dropout, team.map(Team.init(communicator:)), &builder)
            case .other: fatalError("\(name) is the caller's to make")
            }
        }
    }
}

extension ModelChoice {
    /// `dense1`, ReLU, `dense2`, ...; the last one's outputs are the logits.
    static func mlp(_ input: Shape, hidden: [Int], classCount: Int, _ builder: inout Builder) -> [any Layer] {
        var layers: [any Layer] = [Flatten(input)]
        for (index, size) in (hidden + [classCount]).enumerated() {
            layers.append(builder.named("dense\(index + 1)") { Dense(layers.output, outputs: size, &$0) })
            if index < hidden.count { layers.append(ReLU(layers.output)) }
        }
        return layers
    }

    private static func convnet(_ input: Shape, classCount: Int, dropout: Float, _ builder: inout Builder) -> [any Layer] {
        var layers: [any Layer] = [builder.named("conv1") { Convolution2D(input, channels: 32, isRectified: true, &$0) }]
        layers.append(builder.named("conv2") { Convolution2D(layers.output, channels: 64, isRectified: true, &$0) })
        layers.append(MaxPooling(layers.output, window: 2, builder))
        layers.append(Flatten(layers.output))
        layers.append(builder.named("dense1") { Dense(layers.output, outputs: 128, &$0) })
        layers.append(ReLU(layers.output))
        if dropout > 0 { layers.append(Dropout(layers.output, rate: dropout, &builder)) }
        layers.append(builder.named("dense2") { Dense(layers.output, outputs: classCount, &$0) })
        return layers
    }

    private static func resnet20(
        _ input: Shape, classCount: Int, isSynchronised: Bool, _ builder: inout Builder
    ) throws(VerbenaError) -> [any Layer] {
        var layers = try normalised("conv", "norm", input, channels: 16, isRectified: true, isSynchronised, &builder)
        for stage in 0..<3 {
            for block in 0..<3 {
                let stride = stage > 0 && block == 0 ? 2 : 1
                let input = layers.output
                let residual = try builder.named("stage\(stage + 1).\(block)") { (builder) throws(VerbenaError) in
                    try residualBlock(input, channels: 16 << stage, stride: stride, isSynchronised, &builder)
                }
                layers += [residual, ReLU(residual.output)] as [any Layer]
            }
        }
        layers.append(AveragePooling(layers.output, builder))
        layers.append(builder.named("dense") { Dense(layers.output, outputs: classCount, &$0) })
        return layers
    }

    private static func residualBlock(
        _ input: Shape, channels: Int, stride: Int, _ isSynchronised: Bool, _ builder: inout Builder
    ) throws(VerbenaError) -> Residual {
        var branch = try normalised(
            "conv1", "norm1", input, channels: channels, stride: stride, isRectified: true, isSynchronised, &builder)
        branch += try normalised("conv2", "norm2", branch.output, channels: channels, isRectified: false, isSynchronised, &builder)
        guard branch.output != input else { return Residual(input, Sequential(branch), builder) }
        let shortcut = try normalised(
            "shortcut", "shortcut_norm", input, channels: channels, window: 1, stride: stride, isRectified: false, isSynchronised, &builder)
        return Residual(input, Sequential(branch), shortcut: Sequential(shortcut), builder)
    }

    /// A convolution, whose bias the batch norm after it would take away, and that norm.
    private static func normalised(
        _ name: String, _ norm: String, _ input: Shape, channels: Int, window: Int = 3, stride: Int = 1, isRectified: Bool,
        _ isSynchronised: Bool, _ builder: inout Builder
    ) throws(VerbenaError) -> [any Layer] {
        let convolution = builder.named(name) {
            Convolution2D(input, channels: channels, window: window, stride: stride, hasBias: false, &$0)
        }
        let batchNorm = try builder.named(norm) { (builder) throws(VerbenaError) in
            try BatchNorm(convolution.output, isRectified: isRectified, isSynchronised: isSynchronised, &builder)
        }
        return [convolution, batchNorm]
    }

    /// First values as GPT-2 has them: what adds to the residual stream begins smaller, by the number of such layers.
    private static func transformer(
        _ input: Shape, tokenCount: Int, dropout: Float, _ team: Team?, _ builder: inout Builder
    ) throws(VerbenaError) -> [any Layer] {
        let width = transformerWidth
        var layers: [any Layer] = [builder.named("embedding") { Embedding(input, tokenCount: tokenCount, width: width, &$0) }]
        if dropout > 0 { layers.append(Dropout(layers.output, rate: dropout, &builder)) }
        let stream = layers.output
        for index in 0..<transformerBlocks {
            try builder.named("blocks.\(index)") { (builder) throws(VerbenaError) in
                let attention = try attention(stream, team, &builder)
                layers.append(residual(stream, attention, dropout: dropout, &builder))
                let feedForward = try feedForward(stream, team, &builder)
                layers.append(residual(stream, feedForward, dropout: dropout, &builder))
            }
        }
        layers.append(builder.named("norm") { LayerNorm(stream, &$0) })
        layers.append(
            builder.named("head") { Dense(stream, outputs: tokenCount, initial: .variancePreserving(inputs: width), &$0) })
        return layers
    }

    private static func residual(_ stream: Shape, _ branch: [any Layer], dropout: Float, _ builder: inout Builder) -> Residual {
        let dropout = dropout > 0 ? [Dropout(stream, rate: dropout, &builder)] : []
        return Residual(stream, Sequential(branch + dropout), builder)
    }

    /// Each rank of a team has some heads.
    private static func attention(_ stream: Shape, _ team: Team?, _ builder: inout Builder) throws(VerbenaError) -> [any Layer] {
        let width = stream.channels
        var branch: [any Layer] = [builder.named("norm1") { LayerNorm(stream, &$0) }]
        if let team { branch.append(try TeamCopy(stream, team, builder)) }
        let columns = team.map { team in (0..<3).map { team.part(of: width, from: $0 * width) } }
        branch.append(
            builder.named("attention.qkv") {
                Dense(
                    stream, outputs: 3 * width, initial: .variancePreserving(inputs: width),
                    keeping: columns.map { MatrixPart(columns: $0) }, &$0)
            })
        branch.append(Attention(branch.output, headCount: transformerHeads / (team?.count ?? 1), builder))
        branch += try addend("attention.output", branch.output, inputs: width, stream, team, &builder)
        return branch
    }

    /// Each rank of a team has some of the hidden columns.
    private static func feedForward(_ stream: Shape, _ team: Team?, _ builder: inout Builder) throws(VerbenaError) -> [any Layer] {
        let width = stream.channels
        var branch: [any Layer] = [builder.named("norm2") { LayerNorm(stream, &$0) }]
        if let team { branch.append(try TeamCopy(stream, team, builder)) }
        let columns = team.map { [$0.part(of: 4 * width)] }
        branch.append(
            builder.named("feed_forward.dense1") {
                Dense(
                    stream, outputs: 4 * width, initial: .variancePreserving(inputs: width),
                    keeping: columns.map { MatrixPart(columns: $0) }, &$0)
            })
        branch.append(GELU(branch.output, builder))
        branch += try addend("feed_forward.dense2", branch.output, inputs: 4 * width, stream, team, &builder)
        return branch
    }

    /// What adds to the stream. Of a team, each rank has some rows of the matrix, and all have the bias, which is added to the sum of theirs.
    private static func addend(
        _ name: String, _ input: Shape, inputs: Int, _ stream: Shape, _ team: Team?, _ builder: inout Builder
    ) throws(VerbenaError) -> [any Layer] {
        let initial = Builder.Initial.variancePreserving(inputs: inputs).scaled(by: 1 / Float(2 * transformerBlocks).squareRoot())
        return try builder.named(name) { (builder) throws(VerbenaError) in
            let dense = Dense(
                input, outputs: stream.channels, initial: initial, keeping: team.map { MatrixPart(rows: $0.part(of: inputs)) },
                inputs: inputs, hasBias: team == nil, &builder)
            return if let team { [dense, try TeamSum(stream, team, &builder)] } else { [dense] }
        }
    }
}

extension [any Layer] {
    /// Of the last one.
    fileprivate var output: Shape { self[count - 1].output }
}
