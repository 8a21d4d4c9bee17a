import Reduction
import Testing

@testable import Collectives

/// When what a rank says leaves it, beside what it does with memory.
@Suite struct PostingTests {
    /// A device gathers writes: a gather's root has invited the others before it copies its own block.
    @Test func whatIsSaidLeavesADeviceBeforeALongCopy() throws {
        let count = 4096
        let job = try Job(.small(.apart(worldSize: 2), chunkBytes: 64, chunks: 3), bufferBytes: [count * 4, 2 * count * 4])
        let gather = Operation(
            .gather(root: 0), input: Place(job.buffers[1]), output: Place(job.buffers[2]), count: count, type: .float32,
            algorithm: .pairwise)
        unsafe job.floats(0, 1)[0] = 7
        var (hasPosted, hasCopied) = (false, [Bool]())
        job.network.onPost = { sender in if sender == 0 { hasPosted = true } }
        job.network.onLeaving = { [unowned job] rank in
            if rank == 0, hasPosted, hasCopied.isEmpty { unsafe hasCopied.append(job.floats(0, 2)[0] == 7) }
        }
        for rank in job.ranks { try rank.executor.submit(gather) }
        job.run()
        #expect(hasCopied == [false])
        #expect(job.ranks.allSatisfy { $0.finished.count == 1 })
    }

    /// A simulation is told what a rank has touched before what the rank writes afterwards: else that write leaves before the time has passed.
    @Test func whatIsTouchedIsToldBeforeWhatFollows() throws {
        let count = 4096
        var settings = ExecutorSettings.small(.apart(worldSize: 2), chunkBytes: 64, chunks: 3)
        settings.simulation = SimulationHook()
        let job = try Job(settings, bufferBytes: [2 * count * 4, 2 * count * 4])
        let allToAll = Operation(
            .allToAll, input: Place(job.buffers[1]), output: Place(job.buffers[2]), count: count, type: .float32, algorithm: .pairwise)
        // Rank 1 is early: its invitation has come.
        try job.ranks[1].executor.submit(allToAll)
        job.run()
        var order: [String] = []
        job.network.onPost = { if $0 == 0 { order.append("write") } }
        job.network.onTouch = { if $0 == 0 { order.append("touch") } }
        try job.ranks[0].executor.submit(allToAll)
        job.run()
        #expect(order == ["write", "touch", "write"])
    }
}
