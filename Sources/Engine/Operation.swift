package import Collectives

/// Foundation has another.
package typealias Operation = Collectives.Operation
