import Fabric
import Testing

@testable import SharedMemoryFabric

/// When a waiting rank goes without yields.
@Suite struct CoreSharingTests {
    /// Waits, and yields in each as long as it may, at most 20 times.
    /// - Returns: yields of each wait.
    private func yields(waits: Int, milliseconds: (Int) -> UInt64) -> [Int] {
        var sharing = CoreSharing()
        var (clock, yield) = (UInt64(0), 0)
        return (0..<waits).map { _ in
            guard sharing.begins(at: FabricInstant(nanoseconds: clock)) else { return 0 }
            for count in 1...20 {
                clock += 1000 + 1_000_000 * milliseconds(yield)
                yield += 1
                if !sharing.yielded(at: FabricInstant(nanoseconds: clock)) { return count }
            }
            return 20
        }
    }

    @Test func shortYieldsGoOn() { #expect(yields(waits: 200) { _ in 0 }.allSatisfy { $0 == 20 }) }

    /// Now and then somebody else has the core for long: no reason to sleep.
    @Test func fewLongYieldsGoOn() { #expect(yields(waits: 200) { $0 % 10 == 0 ? 3 : 0 }.allSatisfy { $0 == 20 }) }

    @Test func besideSomebodyWhoComputesFewWaitsYield() {
        let yields = yields(waits: 171) { _ in 1 }
        #expect(yields[0] == 3 && yields.filter { $0 == 1 }.count == 10 && yields.filter { $0 == 0 }.count == 160)
    }

    @Test func yieldsComeBackWhenTheOtherHasGone() {
        let yields = yields(waits: 100) { $0 < 3 ? 1 : 0 }
        #expect(yields[0] == 3 && yields[1...16].allSatisfy { $0 == 0 } && yields[17...].allSatisfy { $0 == 20 })
    }
}
