import CommandLineSupport
import Foundation
import Testing
import Verbena

@testable import Trainer
@testable import verbena

private let report = EpochReport(
    loss: 0.12344, accuracy: 0.952, heldOutLoss: 0.2, seconds: 2.75, samplesPerSecond: 41234.4, exposedSeconds: 0.1234, time: StepTotals())

@Suite("Output of a training run")
struct OutputTests {
    @Test("an epoch is one line, counted from 1")
    func epochLine() {
        #expect(
            TrainingText.line(epoch: 2, of: 10, report)
                == "epoch  3/10  loss 0.1234  held out 0.2000  accuracy 95.20 %  41,234 samples/s  exposed 0.123 s (4.5 %)")
        var time = StepTotals()
        time.add(StepReport(exposed: ExposedTime(wire: 0.2, core: 0.1), late: LateRank(rank: 3, seconds: 0.02)))
        func ending() -> Substring {
            let report = EpochReport(
                loss: 0, accuracy: 0, heldOutLoss: 0, seconds: 10, samplesPerSecond: 0, exposedSeconds: 0.3, time: time)
            return TrainingText.line(epoch: 0, of: 1, report).split(separator: "exposed ")[1]
        }
        #expect(ending() == "0.300 s (3.0 %, most for the wire)")
        time.add(StepReport(exposed: ExposedTime(latePeer: 1), late: LateRank(rank: 3, seconds: 1)))
        #expect(ending() == "0.300 s (3.0 %, most for late ranks; 1.020 s for rank 3)")
        time.add(StepReport(withoutCoreSeconds: 0.5))
        #expect(ending().hasSuffix("rank 3)  without a core 0.500 s"))
        #expect(TrainingText.title(epoch: 9, of: 10) == "epoch 10/10")
        #expect(TrainingText.title(epoch: 0, of: 1) == "epoch 1/1")
    }

    @Test("an epoch of no time has no share")
    func noTime() {
        let empty = EpochReport(
            loss: 0, accuracy: 0, heldOutLoss: 0, seconds: 0, samplesPerSecond: 0, exposedSeconds: 0, time: StepTotals())
        #expect(TrainingText.line(epoch: 0, of: 1, empty).hasSuffix("exposed 0.000 s (0.0 %)"))
    }

    @Test(arguments: [(0, "0"), (999, "999"), (1000, "1,000"), (235_146, "235,146"), (1_234_567, "1,234,567"), (-1000, "-1,000")])
    func grouping(number: Int, text: String) {
        #expect(TrainingText.grouped(number) == text)
    }

    @Test("the bar is as wide at every step")
    func bar() {
        let start = ProgressBar.text(epoch: 0, of: 2, doneSteps: 1, of: 80, loss: 2.3026)
        let middle = ProgressBar.text(epoch: 0, of: 2, doneSteps: 40, of: 80, loss: 0.5)
        let end = ProgressBar.text(epoch: 0, of: 2, doneSteps: 80, of: 80, loss: 0.25)
        #expect(Set([start, middle, end].map(\.count)).count == 1 && start.count < 80)
        #expect(middle.contains("[" + String(repeating: "#", count: 15) + String(repeating: " ", count: 15) + "]  50 %  loss 0.5000"))
        #expect(end.contains("#]") && end.contains("100 %"))
    }

    @Test("JSON has these keys and no others")
    func json() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("verbena-\(UUID().uuidString).json").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try checkWritable(path)
        try writeJSON(
            TrainingReport(
                ranks: 2, fabric: "shm", device: "memory", wire: WireUse(asked: "int8", format: "int8", residualByteCount: 12),
                kernels: "X",
                epochs: [report, report], parameterDigest: "ab"),
            to: path)
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        let whole = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(Set(whole.keys) == ["ranks", "fabric", "device", "wire", "kernels", "epochs", "parameterDigest"])
        #expect((whole["wire"] as? [String: Any])?["format"] as? String == "int8")
        let epochs = try #require(whole["epochs"] as? [[String: Any]])
        #expect(epochs.count == 2)
        for epoch in epochs {
            #expect(Set(epoch.keys) == ["loss", "accuracy", "heldOutLoss", "seconds", "samplesPerSecond", "exposedSeconds", "time"])
        }
        #expect(epochs[0]["samplesPerSecond"] as? Double == 41234.4)
        #expect(whole["ranks"] as? Int == 2 && whole["fabric"] as? String == "shm" && whole["device"] as? String == "memory")
    }

    @Test("a device is written to, not replaced by a file")
    func device() throws {
        let before = try FileManager.default.attributesOfItem(atPath: "/dev/null")[.type] as? FileAttributeType
        try checkWritable("/dev/null")
        try writeJSON([1], to: "/dev/null")
        #expect(before == .typeCharacterSpecial)
        #expect(try FileManager.default.attributesOfItem(atPath: "/dev/null")[.type] as? FileAttributeType == before)
    }
}
