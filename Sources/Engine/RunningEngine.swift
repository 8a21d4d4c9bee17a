package import Collectives
package import MixedFabric
package import SharedMemoryFabric
package import VerbsFabric

/// The engine on one of the fabrics that there are. What is called for every operation is called through it and not through the protocol: so the
/// compiler makes code for that very fabric.
package enum RunningEngine {
    case sharedMemory(ProgressEngine<SharedMemoryFabric, SystemHost>)
    case verbs(ProgressEngine<VerbsFabric, SystemHost>)
    case mixed(ProgressEngine<MixedFabric<SharedMemoryFabric, VerbsFabric>, SystemHost>)

    package var control: any EngineControl {
        switch self {
        case .sharedMemory(let engine): engine
        case .verbs(let engine): engine
        case .mixed(let engine): engine
        }
    }

    /// Starts the progress thread; called once.
    package func start() {
        switch self {
        case .sharedMemory(let engine): engine.start()
        case .verbs(let engine): engine.start()
        case .mixed(let engine): engine.start()
        }
    }

    /// See `EngineControl.look`.
    package func look() {
        switch self {
        case .sharedMemory(let engine): engine.look()
        case .verbs(let engine): engine.look()
        case .mixed(let engine): engine.look()
        }
    }

    /// See `EngineControl.submitWhereRoom`.
    package func submitWhereRoom(_ operation: Operation) throws(VerbenaError) -> Int? {
        switch self {
        case .sharedMemory(let engine): try engine.submitWhereRoom(operation)
        case .verbs(let engine): try engine.submitWhereRoom(operation)
        case .mixed(let engine): try engine.submitWhereRoom(operation)
        }
    }

    /// See `EngineControl.wait`.
    package func wait(_ number: Int) throws(VerbenaError) -> OperationRecord {
        let record =
            switch self {
            case .sharedMemory(let engine): try engine.wait(number, until: .max)
            case .verbs(let engine): try engine.wait(number, until: .max)
            case .mixed(let engine): try engine.wait(number, until: .max)
            }
        guard let record else { fatalError("broken invariant: a wait without a deadline ends with the operation") }
        return record
    }

    /// See `Engine.run`.
    package func run(_ operation: Operation, milliseconds: UInt64 = .max) throws(VerbenaError) {
        switch self {
        case .sharedMemory(let engine): try engine.run(operation, milliseconds: milliseconds)
        case .verbs(let engine): try engine.run(operation, milliseconds: milliseconds)
        case .mixed(let engine): try engine.run(operation, milliseconds: milliseconds)
        }
    }
}
