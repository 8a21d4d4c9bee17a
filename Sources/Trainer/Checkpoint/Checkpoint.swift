/// A run as it stood between two steps: parameters, statistics, what the optimizer remembers, and the place in the data.
public struct Checkpoint: Sendable {
    /// What is to be trained, or was.
    public let model: ModelChoice
    public let input: Shape
    public let classCount: Int
    /// Of a text, by token; else empty.
    public let characters: [Unicode.Scalar]
    public let optimizer: OptimizerSettings.Method
    /// How many steps the optimizer has begun.
    public let optimizerStep: Int
    /// What comes next: the epoch, from 0, and how many samples of it all ranks together have had.
    public let (epoch, sampleCount): (Int, Int)
    /// What the result depends on, by name.
    let traits: [String: String]
    /// Its tensors.
    let file: Safetensors

    /// Reads the whole file on this rank.
    public static func read(_ path: String) throws(CheckpointError) -> Checkpoint {
        try Checkpoint(Safetensors.read(path) { (header) throws(CheckpointError) in try checkFormat(header, path) })
    }

    init(_ file: Safetensors) throws(CheckpointError) {
        try Self.checkFormat(file.header, file.path)
        let reader = MetadataReader(file)
        model = try reader.value("model") { ModelChoice($0) }
        input = try reader.value("input") { Shape($0) }
        classCount = try reader.number("classes", from: 1)
        characters = Array(try reader.value("characters") { $0 }.unicodeScalars)
        optimizer = try reader.value("optimizer") { OptimizerSettings.Method(rawValue: $0) }
        optimizerStep = try reader.number("optimizer.step")
        epoch = try reader.number("epoch")
        sampleCount = try reader.number("samples")
        traits = file.header.metadata.filter { $0.key.hasPrefix(Self.traitPrefix) }
        self.file = file
        guard model != .transformer || characters.count == classCount else {
            throw reader.wrong("characters", "\(characters.count) for \(classCount) classes")
        }
        guard zip(characters, characters.dropFirst()).allSatisfy(<) else { throw reader.wrong("characters", "some twice, or out of order") }
    }

    // MARK: its metadata

    static let (formatName, format) = ("format", "verbena")
    static let (versionName, version) = ("version", "1")
    static let traitPrefix = "setting."
    static let optimizerPrefix = "optimizer."

    private static func checkFormat(_ header: Safetensors.Header, _ path: String) throws(CheckpointError) {
        guard header.metadata[formatName] == format else {
            throw CheckpointError(
                .foreign, path: path, expected: "a checkpoint of verbena train",
                found: "\(header.tensors.count) tensors of another program", remedy: "give a file that --checkpoint has written")
        }
        guard header.metadata[versionName] == version else {
            throw CheckpointError(
                .foreign, path: path, expected: "a checkpoint of version \(version)",
                found: "version \(header.metadata[versionName] ?? "unknown")", remedy: "use the release of verbena that has written it")
        }
    }

    /// - Parameters:
    ///   - sampleCount: of the epoch, over all ranks.
    ///   - traits: see `TrainingSettings.traits`, and what else the result depends on.
    static func metadata(
        of model: ModelChoice, for data: any Dataset, _ optimizer: Optimizer, epoch: Int, sampleCount: Int,
        traits: [(name: String, value: String)]
    ) -> [String: String] {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: (data as? TextDataset)?.characters ?? [])
        var metadata = [
            formatName: format, versionName: version, "model": model.text, "input": "\(data.input)", "classes": String(data.classCount),
            "characters": String(text), "optimizer": optimizer.settings.method.rawValue, "optimizer.step": String(optimizer.step),
            "epoch": String(epoch), "samples": String(sampleCount),
        ]
        for (name, value) in traits { metadata[traitPrefix + name] = value }
        return metadata
    }

    /// - Parameter states: of whole parameters.
    static func tensors(of model: any Model, _ states: [[Parameter]]) -> [(name: String, values: Parameter)] {
        (model.parameters + model.statistics).map { ($0.name, $0) } + states.joined().map { (optimizerPrefix + $0.name, $0) }
    }

    /// Each of those that differ: `seed 1 there, 2 here`.
    func differences(from others: [(name: String, value: String)]) -> [String] {
        others.compactMap { name, value in
            let own = traits[Self.traitPrefix + name] ?? "none"
            return own == value ? nil : "\(name) \(own) there, \(value) here"
        }
    }

    // MARK: its use

    /// Throws unless such a run can go on from here.
    public func check(_ settings: TrainingSettings, for data: DataSplit) throws(CheckpointError) {
        guard model == settings.model else {
            throw mismatch("a checkpoint of \(settings.model)", "one of \(model)", "give --model \(model.option)")
        }
        guard optimizer == settings.optimizer.method else {
            throw mismatch(
                "a checkpoint of optimizer \(settings.optimizer.method.rawValue)", "one of \(optimizer.rawValue)",
                "give --optimizer \(optimizer.rawValue)")
        }
        try check(data.training)
    }

    /// Throws unless the model takes such samples.
    public func check(_ data: any Dataset) throws(CheckpointError) {
        if let text = data as? TextDataset, text.characters != characters {
            let (own, others) = (Set(characters), Set(text.characters))
            let difference =
                own.symmetricDifference(others).min().map { ", \(others.contains($0) ? "without" : "with") \(named($0))" } ?? ""
            throw mismatch("an alphabet of \(others.count) characters", "\(own.count)\(difference)", "give the text that it was trained on")
        }
        guard data.input == input, data.classCount == classCount else {
            throw mismatch(
                "a model of \(data.input) and \(data.classCount) classes", "\(input) and \(classCount)",
                "give data like that it was trained on")
        }
    }

    /// The model with its parameters and statistics, for batches of up to `capacity` samples.
    public func makeModel(capacity: Int) throws(CheckpointError) -> LayeredModel {
        if case .other(let name) = model {
            throw mismatch("an included model", "one of \(name)", "go on with it in the program that makes it")
        }
        // Before memory is taken for what a header says.
        let held = file.header.tensors.values.reduce(0) { $0 + $1.shape.reduce(1, *) }
        guard model.takes(input), let least = model.leastElementCount(input, classCount: classCount), least <= held else {
            throw mismatch(
                "tensors of \(model) for \(input) and \(classCount) classes", "\(held) elements",
                "give a file that --checkpoint has written")
        }
        let made: LayeredModel
        do { made = try model.make(input: input, classCount: classCount, capacity: capacity, seed: 1) } catch {
            fatalError("broken invariant: a model without a team speaks to nobody, \(error)")
        }
        try load((made.parameters + made.statistics).map { ($0.name, $0) }, allowing: Self.optimizerPrefix)
        return made
    }

    /// Fills them all, or, where it throws, none.
    /// - Parameter prefix: tensors of such names may be there besides.
    func load(_ tensors: [(name: String, values: Parameter)], allowing prefix: String? = nil) throws(CheckpointError) {
        for (name, values) in tensors {
            guard let tensor = file.header.tensors[name] else {
                throw mismatch("tensor \(name) of \(model)", "none", "give a checkpoint of this model and version")
            }
            guard tensor.type == Safetensors.type else {
                throw mismatch("\(Safetensors.type) for tensor \(name)", tensor.type, "give the file as --checkpoint has written it")
            }
            guard tensor.shape == values.shape else {
                throw mismatch("shape \(values.shape) of tensor \(name)", "\(tensor.shape)", "give a checkpoint of this model and data")
            }
        }
        let known = Set(tensors.map(\.name))
        if let other = file.header.tensors.keys.filter({ !known.contains($0) && !(prefix.map($0.hasPrefix) ?? false) }).min() {
            throw mismatch("the tensors of \(model)", "\(other) besides", "give a checkpoint of this model and version")
        }
        for (name, values) in tensors {
            guard let tensor = file.header.tensors[name] else { continue }
            unsafe file.data(of: tensor).withUnsafeBytes { bytes in
                // SAFETY: both have the shape's number of floats, little-endian in the file and here; the array is held for the call.
                unsafe UnsafeMutableRawBufferPointer(values.values).copyMemory(from: bytes)
            }
        }
    }

    func mismatch(_ expected: String, _ found: String, _ remedy: String) -> CheckpointError {
        CheckpointError(.mismatch, path: file.path, expected: expected, found: found, remedy: remedy)
    }

    private func named(_ scalar: Unicode.Scalar) -> String { SafetensorsJSON.quoted(String(Character(scalar))) }
}

/// Takes the texts of a checkpoint apart.
private struct MetadataReader {
    let file: Safetensors

    init(_ file: Safetensors) { self.file = file }

    func value<Value>(_ name: String, _ parse: (String) -> Value?) throws(CheckpointError) -> Value {
        guard let text = file.header.metadata[name], let value = parse(text) else {
            throw wrong(name, file.header.metadata[name] ?? "none")
        }
        return value
    }

    func number(_ name: String, from least: Int = 0) throws(CheckpointError) -> Int {
        try value(name) { Int($0).flatMap { (least...Self.maximumNumber).contains($0) ? $0 : nil } }
    }

    func wrong(_ name: String, _ found: String) -> CheckpointError {
        Safetensors.damaged(file.path, expected: "\(name) of a checkpoint", found: found)
    }

    /// Far below where sums and products of two would overflow.
    private static let maximumNumber = 1 << 31
}
