package import Collectives
package import Fabric
internal import Synchronization

/// Registering buffers: each rank makes its memory a region, all swap the descriptors, each attaches the peers'.
extension ProgressEngine where F: ~Copyable {
    package func addBuffer(
        byteCount: Int, exchange: ([UInt8]) throws(VerbenaError) -> [[UInt8]]
    ) throws(VerbenaError) -> (SharedBuffer, Region) {
        let (buffer, region, descriptor) = try perform { (executor) throws(FabricError) in
            let (buffer, region) = try executor.addBuffer(byteCount: byteCount)
            return (buffer, region, executor.descriptor(of: buffer))
        }
        let descriptors = try exchange(descriptor)
        try perform { (executor) throws(FabricError) in try executor.attach(buffer, descriptors: descriptors) }
        return (buffer, region)
    }

    package func addBuffer(
        _ memory: UnsafeMutableRawPointer, byteCount: Int, exchange: ([UInt8]) throws(VerbenaError) -> [[UInt8]]
    ) throws(VerbenaError) -> SharedBuffer? {
        let address = UInt(bitPattern: memory)
        let added = try perform { (executor) throws(FabricError) -> (SharedBuffer, [UInt8])? in
            guard let memory = unsafe UnsafeMutableRawPointer(bitPattern: address) else { return nil }
            // SAFETY: the caller keeps the memory as long as the engine.
            let buffer = unsafe try executor.addBuffer(memory, byteCount: byteCount)
            return buffer.map { ($0, executor.descriptor(of: $0)) }
        }
        let descriptors = try exchange(added?.1 ?? [])
        guard let added else { return nil }
        guard descriptors.allSatisfy({ !$0.isEmpty }) else {
            // Numbers of buffers stay the same on all ranks.
            try perform { (executor) throws(FabricError) in executor.removeLastBuffer() }
            return nil
        }
        try perform { (executor) throws(FabricError) in try executor.attach(added.0, descriptors: descriptors) }
        return added.0
    }

    package func adopt(_ costs: Costs) throws(VerbenaError) {
        try perform { (executor) throws(FabricError) in executor.adopt(costs) }
        published.withLock { $0.costs = costs }
    }
}
