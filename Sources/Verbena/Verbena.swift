public import Collectives
public import Engine
public import Gradients
public import Membership
public import Reduction
public import SharedMemoryFabric

// What users of the public face need of the modules below it, under this module's name.

public typealias Algorithm = Collectives.Algorithm
public typealias BFloat16 = Reduction.BFloat16
public typealias Collective = Collectives.Collective
public typealias Costs = Collectives.Costs
public typealias Element = Reduction.Element
public typealias ElementType = Reduction.ElementType
public typealias EmulatedLink = SharedMemoryFabric::EmulatedLink
public typealias Extents = Collectives.Extents
public typealias OperationRecord = Collectives.OperationRecord
public typealias ReductionOperation = Reduction.ReductionOperation
public typealias GradientSettings = Gradients.GradientSettings
public typealias ParameterLayout = Gradients.ParameterLayout
public typealias VerbenaError = Engine.VerbenaError
public typealias FailureCause = Membership.FailureCause
public typealias Verdict = Membership.Verdict
public typealias JobStatus = Membership.JobStatus
public typealias BucketPhase = Gradients.BucketPhase
public typealias BucketReport = Gradients.BucketReport
public typealias ExposedCause = Gradients.ExposedCause
public typealias ExposedTime = Gradients.ExposedTime
public typealias LateRank = Gradients.LateRank
public typealias NamedTime = Gradients.NamedTime
public typealias StepReport = Gradients.StepReport
public typealias StepTotals = Gradients.StepTotals
public typealias WireFormat = Reduction.WireFormat

/// Foundation has another.
typealias Operation = Collectives.Operation
