import Foundation
import Verbena

/// What one rank tells the others of a size; times are those of one operation.
struct RankTiming: Codable {
    var microseconds: Double
    var wrong = 0
    /// Of each iteration, in order, where they are to be told apart.
    var iterations: [Double]?
    var phases: Stragglers.Phases?

    init(microseconds: Double) { self.microseconds = microseconds }
}

extension Communicator {
    /// The values of all ranks, in order. Collective; over TCP, for small things between measurements.
    func gathered<Value: Codable>(_ value: Value, label: String) throws -> [Value] {
        try allGather(Array(JSONEncoder().encode(value)), label: label).map { try JSONDecoder().decode(Value.self, from: Data($0)) }
    }
}
