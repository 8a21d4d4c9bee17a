import ArgumentParser
import CommandLineSupport
import Trainer
import Verbena

/// Where samples come from.
struct DataOptions: ParsableArguments {
    /// Not the run's seed, so that runs of different seeds are measured on the same images.
    static let generatedDataSeed: UInt64 = 1
    /// How many images are drawn to learn from, and how many to look at after each epoch.
    static let generatedCounts = (training: 20_000, heldOut: 2_000)

    @Option(
        help: """
            A folder with images: IDX files of MNIST or EMNIST's digits, plain or .gz, torchvision's too; CIFAR-10's binary files (data_batch_1.bin ..., test_batch.bin); \
            or train_images.npy and train_labels.npy, with test_images.npy and test_labels.npy or without. For the transformer, a text file in UTF-8. (default: drawn \
            digits; made-up sentences)
            """)
    var data: String?

    func validate() throws {
        if data == "" { throw ValidationError("--data '': give the name of a folder") }
    }

    /// - Parameter alphabet: of a text model that is there already.
    func load(for model: ModelChoice, alphabet: [Unicode.Scalar]? = nil) throws(Failure) -> DataSplit {
        do { return try read(for: model, alphabet) } catch { throw Failure("--data: \(error)") }
    }

    /// Collective. What rank 0 has loaded, on every rank.
    func loadFromRoot(for model: ModelChoice, _ communicator: Communicator) throws -> DataSplit {
        do {
            return try DataSplit.fromRoot(communicator) { () throws(DataError) in try read(for: model, nil) }
        } catch TrainingError.data(let error) {
            throw Failure("--data: \(error)", isOfEveryRank: true)
        }
    }

    private func read(for model: ModelChoice, _ alphabet: [Unicode.Scalar]?) throws(DataError) -> DataSplit {
        let isText = model == .transformer
        if let data { return try isText ? TextFile.load(data, alphabet: alphabet) : ImageFolder.load(data) }
        return isText
            ? GeneratedText.split(seed: Self.generatedDataSeed)
            : GeneratedDigits.split(
                seed: Self.generatedDataSeed, trainingCount: Self.generatedCounts.training, heldOutCount: Self.generatedCounts.heldOut)
    }
}

/// Who reads the files of a job.
enum DataReader: String, ExpressibleByArgument, CaseIterable {
    case root, all
}
