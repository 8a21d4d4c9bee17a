import Fabric
import Testing

@testable import SimulatedFabric

@Suite struct EventQueueTests {
    /// Against a plain sort, with times that are moved and taken back.
    @Test func comesInOrder() {
        var random = SeededRandom(seed: 3)
        var queue = EventQueue()
        queue.addSlots(40)
        var wanted: [Int: (UInt64, UInt32)] = [:]
        for _ in 0..<5000 {
            let slot = random.below(40)
            switch random.below(4) {
            case 0:
                queue.cancel(slot)
                wanted[slot] = nil
            case 1:
                let first = queue.popFirst()
                let least = wanted.min { ($0.value.0, $0.value.1, $0.key) < ($1.value.0, $1.value.1, $1.key) }
                #expect(first.map { Int($0.slot) } == least?.key && first?.time == least?.value.0)
                if let least { wanted[least.key] = nil }
            default:
                let (time, order) = (UInt64(random.below(50)), UInt32(random.below(3)))
                queue.schedule(slot, at: time, order: order)
                wanted[slot] = (time, order)
            }
        }
        #expect(!wanted.isEmpty)
    }
}
