public import Verbena

/// What the trainer trains. Write your own, or put one together of layers (`LayeredModel`).
///
/// A model owns its parameters and the memory of a pass; gradients go where the pass says. Belongs to one thread at a time.
public protocol Model: AnyObject {
    /// In the order in which a forward pass first uses them: parameter i's number is i.
    var parameters: [Parameter] { get }
    /// What a forward pass in training updates without a gradient, such as the running means of batch norm; each rank has its own until they are
    /// averaged at the end of an epoch.
    var statistics: [Parameter] { get }
    /// What one sample must be.
    var input: Shape { get }
    /// How many classes a row of the logits tells apart, and how many rows one sample has.
    var classCount: Int { get }
    var labelsPerSample: Int { get }
    /// The most samples of a batch.
    var capacity: Int { get }

    /// The logits of a batch, a row a label: valid until the next pass. Before it uses a parameter, it says so (`Pass.prepare`), in their order.
    /// - Parameter input: samples * positions x channels; the model may write over it.
    func forward(_ input: Matrix, _ pass: Pass) throws(VerbenaError) -> Matrix

    /// Backpropagates, after `forward` in training. Writes each parameter's gradient into `pass.gradient(of:)`, which is overwritten, never read, and says when it
    /// is final (`pass.ready`), from the last to the first, each before any work for a lower layer, so that its exchange hides behind the rest.
    /// - Parameter gradient: of the loss by the logits; the model may write over it.
    func backward(_ gradient: Matrix, _ pass: Pass) throws(VerbenaError)
}

extension Model {
    public var statistics: [Parameter] { [] }
    public var elementCount: Int { parameters.reduce(0) { $0 + $1.elementCount } }
}

/// Who takes a model's gradients and keeps its parameters up to date.
public protocol GradientSink: AnyObject {
    /// Parameter `index` is about to be used by a forward pass.
    func prepare(_ index: Int) throws(VerbenaError)
    /// Where its gradient goes: as long as the parameter, the model's until `ready`.
    func gradient(at index: Int) -> UnsafeMutableBufferPointer<Float>
    /// Its gradient is final.
    func ready(_ index: Int) throws(VerbenaError)
}

/// One pass over a batch, forward and backward.
public struct Pass {
    /// Nil: nobody trains; dropout does nothing, and batch norm takes its running statistics.
    public let sink: (any GradientSink)?
    /// Tells the draws of dropout apart: of the step, and of the rank.
    public let seed: UInt64

    public init(sink: (any GradientSink)? = nil, seed: UInt64 = 0) { (self.sink, self.seed) = (sink, seed) }

    public var isTraining: Bool { sink != nil }
}
