import Gradients
import Prediction
import Testing

struct ProfileTests {
    @Test func builtInProfilesHaveThePublishedNumberOfParameters() {
        #expect(ModelProfile.resNet50().parameterCount == 25_557_032)
        #expect(ModelProfile.resNet50().layers.reduce(0) { $0 + $1.parameters.count } == 161)
        #expect(ModelProfile.gpt2Small().parameterCount == 124_439_808)
        #expect(ModelProfile.llama8B().parameterCount == 8_030_261_248)
    }

    @Test func aStepAloneTakesWhatTheSpeedSays() {
        let profile = ModelProfile.resNet50(batch: 16, imagesPerSecond: 100)
        #expect(abs(profile.stepSeconds - 0.16) < 1e-9)
        #expect(abs((profile.backwardSeconds - 2 * profile.forwardSeconds)) < 1e-9)
    }

    static let good =
        #"{"name": "two", "batch": 4, "layers": [{"name": "a", "parameters": [1000], "forwardSeconds": 1e-3, "backwardSeconds": 2e-3}]}"#

    @Test func aFileIsRead() throws {
        let profile = try ModelProfile(json: Array(Self.good.utf8), place: "p.json")
        #expect(profile.parameterCount == 1000 && profile.layers[0].backwardSeconds == 2e-3)
    }

    @Test(arguments: [
        (#""batch": 4"#, #""batch": -4"#, "p.json: 'batch' is -4; give 1 to 1000000000"),
        (#""batch": 4"#, #""batch": 4, "colour": 1"#, "p.json: unknown field 'colour'"),
        ("1e-3", "-1", "p.json: layers[0]: 'forwardSeconds' is -1; give 0 to 86400"),
        ("[1000]", "[]", "p.json: no layer has a parameter"),
        (#"{"name": "a""#, #"{"title": "a""#, "p.json: layers[0]: unknown field 'title'"),
        ("1e-3", "true", "p.json: layers[0]: 'forwardSeconds' is no number"),
        ("2e-3}]}", "2e-3}", "p.json: no whole JSON document; is the file cut off?"),
    ])
    func badProfilesGetOneLine(old: String, new: String, message: String) {
        let text = Self.good.replacing(old, with: new)
        #expect(text != Self.good)
        do {
            _ = try ModelProfile(json: Array(text.utf8), place: "p.json")
            Issue.record("it was read")
        } catch {
            #expect("\(error)".hasPrefix(message), "\(error)")
            #expect(!"\(error)".contains("\n"))
        }
    }

    @Test(arguments: [
        (#"{"name": "c", "nicsPerNode": 0}"#, "c.json: 'nicsPerNode' is 0; give 1 to 1024"),
        (#"{"name": "c", "speed": 1}"#, "c.json: unknown field 'speed'"),
        (#"{"name": "c", "nodes": 1.5}"#, "c.json: 'nodes' is 1.5; give a whole number"),
        (#"{"nodes": 1}"#, "c.json: 'name' is missing"),
    ])
    func badClustersGetOneLine(text: String, message: String) {
        do {
            _ = try Cluster(json: Array(text.utf8), place: "c.json")
            Issue.record("it was read")
        } catch {
            #expect("\(error)".hasPrefix(message), "\(error)")
        }
    }

    @Test func aRecordedRunTakesAsLongAsItDid() throws {
        let arrival = ArrivalProfile(
            ready: [3e-3, 1e-3, 0], needed: [0.5e-3, 1e-3, 2e-3], backwardSeconds: 3e-3, forwardSeconds: 5e-3)
        let profile = ModelProfile(
            recorded: "r", batch: 8, samplesPerEpoch: 80, parameters: [("a", 10), ("b", 20), ("c", 30)], arrival: arrival,
            inputSeconds: 0.5e-3, spread: 0, source: "")
        #expect(abs(profile.stepSeconds - 8e-3) < 1e-9)
        #expect(profile.layers.map(\.parameters) == [[10], [20], [30]])
        #expect(abs(profile.layers[0].backwardSeconds - 2e-3) < 1e-9 && abs(profile.layers[1].forwardSeconds - 1e-3) < 1e-9)
        #expect(try ModelProfile(json: Array(profile.json.utf8), place: "p") == profile)
    }

    @Test func measuredCostsBecomeACluster() throws {
        let text =
            #"{"near":{"latency":0.2,"perByte":1e-4},"far":{"latency":3,"perByte":1e-3},"reducePerByte":5e-5,"encodePerByte":1e-4,"decodePerByte":1e-4}"#
        let cluster = try Cluster(name: "m", costs: Array(text.utf8), place: "c.json")
        #expect(cluster.latencyMicroseconds == 3 && abs(cluster.nicGigabytesPerSecond - 1) < 1e-9)
        #expect(abs(cluster.reduceGigabytesPerSecond - 20) < 1e-9)
        #expect(throws: PredictionError.self) { try Cluster(name: "m", costs: Array(text.dropLast(9).utf8), place: "c.json") }
    }
}
