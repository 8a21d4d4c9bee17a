import CommandLineSupport
import Foundation
import Prediction
import Trainer
import Verbena

/// What a run has measured of a rank's computing, as a profile.
enum RecordedProfile {
    static func write(_ trainer: DataParallelTrainer, _ epochs: [EpochReport], ranks: Int, to path: String) throws {
        guard let arrival = trainer.explanation.arrival else {
            throw Failure("\(path): the run was too short to measure a profile; train for 20 steps or more")
        }
        let profile = ModelProfile(
            recorded: "recorded", batch: trainer.settings.batchPerRank,
            samplesPerEpoch: trainer.settings.batchPerRank * trainer.stepsPerEpoch * ranks,
            parameters: trainer.model.parameters.map { ($0.name, $0.elementCount) }, arrival: arrival,
            inputSeconds: arrival.needed.min() ?? 0, spread: 0,
            source: "measured on \(ranks) ranks")
        do { try Data(profile.json.utf8).write(to: URL(fileURLWithPath: path)) } catch {
            throw Failure("\(path): cannot be written; name a file in a folder that exists")
        }
    }
}
