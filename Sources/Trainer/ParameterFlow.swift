import Verbena

/// Takes gradients to the exchange, and parameters through the optimizer, each as late as the next forward pass needs it.
///
/// The loss travels as one more gradient: every rank knows every step's global loss at no message of its own. It is last in forward order, so it
/// leaves with the first bucket.
final class ParameterFlow: GradientSink {
    let exchange: GradientExchange
    let optimizer: Optimizer
    private let parameters: [Parameter]
    /// Ranks share the update: what comes back are new values.
    private let isShared: Bool
    /// The step whose gradients travel; of its parameters, those before `nextUpdate` are up to date.
    private var isPending = false
    private var nextUpdate = 0
    /// How many batches of this step were added up before the one at hand.
    private var batch = 0
    /// Gradients by one batch that are added to those before, by parameter: a layer may hold several at a time. None where a step has one batch.
    private let addends: [FloatBuffer]

    init(_ communicator: Communicator, _ model: any Model, _ settings: TrainingSettings) throws(VerbenaError) {
        parameters = model.parameters
        let optimizer = Optimizer(settings.optimizer, for: parameters)
        self.optimizer = optimizer
        isShared = settings.sharesUpdate
        // Where blocks share a scale, the loss has one of its own, or gradients beside it would be lost.
        let loss = ParameterLayout(name: "loss", elementCount: settings.exchange.wire == .int8 ? WireFormat.blockElements : 1)
        let layouts = parameters.map { ParameterLayout(name: $0.name, elementCount: $0.elementCount) }
        let lossIndex = parameters.count
        let update: OwnedUpdate = { index, elements, values in
            guard index != lossIndex else { return }
            // SAFETY: the view is used until the call returns.
            unsafe values.withUnsafeMutableBufferPointer { unsafe optimizer.replace(index, elements, $0) }
        }
        exchange = try GradientExchange(
            communicator, parameters: layouts + [loss], settings: settings.exchange, update: isShared ? update : nil)
        let exchange = self.exchange
        optimizer.remember(owned: isShared ? parameters.indices.map { exchange.ownedElements(of: $0) } : nil)
        addends = settings.accumulation > 1 ? parameters.map { FloatBuffer(count: $0.elementCount) } : []
    }

    private var lossIndex: Int { parameters.count }

    // MARK: what the model asks

    func prepare(_ index: Int) throws(VerbenaError) {
        guard isPending else { return }
        while nextUpdate <= index {
            try exchange.wait(for: nextUpdate)
            // SAFETY: the exchange is held here, and the wait has given the view back.
            let view = unsafe exchange.gradient(at: nextUpdate)
            if isShared {
                unsafe parameters[nextUpdate].values.baseAddress!.update(from: view.baseAddress!, count: view.count)
            } else {
                unsafe optimizer.update(nextUpdate, by: view)
            }
            nextUpdate += 1
        }
    }

    func gradient(at index: Int) -> UnsafeMutableBufferPointer<Float> {
        // SAFETY: the exchange and the addends are held here.
        unsafe batch > 0 ? addends[index].values : exchange.gradient(at: index)
    }

    func ready(_ index: Int) throws(VerbenaError) {
        if batch > 0 {
            let shape = (rows: 1, columns: parameters[index].elementCount)
            // SAFETY: both are held here; the view is ours until it is announced.
            let sum = unsafe Matrix(exchange.gradient(at: index), rows: shape.rows, columns: shape.columns)
            Elements.chosen.add(unsafe Matrix(gradient(at: index), rows: shape.rows, columns: shape.columns), to: sum)
        }
        try exchange.gradientReady(index)
    }

    // MARK: what the trainer asks

    /// The pass to come is the `batch`-th that is added up in its step.
    func begin(batch: Int) { self.batch = batch }

    func giveLoss(_ loss: Float) throws(VerbenaError) {
        // SAFETY: the exchange is held here, and the view is ours until it is announced.
        let view = unsafe exchange.gradient(at: lossIndex)
        unsafe view[0] = batch > 0 ? view[0] + loss : loss
        try exchange.gradientReady(lossIndex)
    }

    /// Before the first announcement of a step.
    func beginStep(rate: Float) { optimizer.beginStep(rate: rate) }

    /// All gradients of a step are announced.
    func endStep() { (isPending, nextUpdate) = (true, 0) }

    /// Brings all parameters up to date.
    /// - Returns: the loss of the step that is over by that, over all ranks; nil where none was under way.
    func finishStep() throws(VerbenaError) -> Float? {
        guard isPending else { return nil }
        try prepare(lossIndex - 1)
        try exchange.wait(for: lossIndex)
        isPending = false
        // SAFETY: the exchange is held here, and the wait has given the view back.
        return unsafe exchange.gradient(at: lossIndex)[0]
    }
}
