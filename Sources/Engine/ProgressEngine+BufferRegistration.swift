package import Collectives
package import Fabric
internal import Synchronization

/// Registering buffers: each rank makes its memory a region, all swap the descriptors, each attaches the peers'.
extension ProgressEngine where F: ~Copyable {
    package func attach(
        _ memory: LentMemory, exchange: ([UInt8]) throws(VerbenaError) -> [[UInt8]]
    ) throws(VerbenaError) -> SharedBuffer? {
        let own = try perform { (executor) throws(FabricError) -> (Region, [UInt8])? in
            try executor.register(memory).map { ($0, executor.descriptor(of: $0)) }
        }
        let descriptors = try exchange(own?.1 ?? [])
        guard let (region, _) = own else { return nil }
        return try perform { (executor) throws(FabricError) -> SharedBuffer? in
            if descriptors.allSatisfy({ !$0.isEmpty }) { return try executor.addBuffer(region, descriptors: descriptors) }
            executor.release(region)
            return nil
        }
    }

    package func attachPrivate(_ memory: LentMemory) throws(VerbenaError) -> SharedBuffer? {
        guard settings.topology.isOneNode else { return nil }
        return try perform { (executor) throws(FabricError) in executor.addPrivateBuffer(memory) }
    }

    package func isInUse(_ buffer: SharedBuffer) throws(VerbenaError) -> Bool {
        try perform { (executor) throws(FabricError) in executor.isInUse(buffer) }
    }

    package func detach(_ buffer: SharedBuffer) throws(VerbenaError) {
        try perform { (executor) throws(FabricError) in executor.removeBuffer(buffer) }
    }

    package func adopt(_ costs: Costs) throws(VerbenaError) {
        try perform { (executor) throws(FabricError) in executor.adopt(costs) }
        published.withLock { $0.costs = costs }
    }
}
