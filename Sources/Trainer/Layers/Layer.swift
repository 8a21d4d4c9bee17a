public import Verbena

/// A part of a model. Owns its parameters, its output, and what its backward pass needs of the forward pass, so that a step allocates nothing.
///
/// A layer may keep its input by reference: an output stays as it is until the next forward pass, but for a layer that `overwritesInput`, which must not follow one that
/// reads its own output in backward, and not begin a branch.
public protocol Layer: AnyObject {
    var output: Shape { get }
    var overwritesInput: Bool { get }
    /// Whether backward reads the output, which the next layer must leave then.
    var readsOutput: Bool { get }
    /// Whether the output is the input's memory, untouched.
    var passesInputOn: Bool { get }
    /// Whether it may have parameters: what comes before all of them needs no backward pass.
    var learns: Bool { get }

    func forward(_ input: Matrix, _ pass: Pass) throws(VerbenaError) -> Matrix

    /// - Parameters:
    ///   - gradient: of the loss by the output; may be written over.
    ///   - wantsInput: whether anyone needs the gradient by the input.
    /// - Returns: the gradient by the input; nothing that means anything, unless it was wanted.
    func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) throws(VerbenaError) -> Matrix
}

extension Layer {
    public var overwritesInput: Bool { false }
    public var readsOutput: Bool { false }
    public var passesInputOn: Bool { false }
    public var learns: Bool { true }
}

/// Gives a model's parameters their numbers, names and first values, and its layers their memory.
public struct Builder {
    /// The most samples of a batch.
    public let capacity: Int
    /// The ranks that a layer may work with, such as batch norm over all ranks; nil where there are none.
    let communicator: Communicator?
    public private(set) var parameters: [Parameter] = []
    public private(set) var statistics: [Parameter] = []
    /// For the gradients of activations.
    let scratch = Scratch()
    private var generator: SeededGenerator
    private var prefix: [String] = []
    private var draws: UInt64 = 0

    /// - Parameter seed: the same seed gives the same parameters on every machine.
    public init(capacity: Int, seed: UInt64, communicator: Communicator? = nil) {
        invariant(capacity > 0, "a model for \(capacity) samples")
        (self.capacity, self.communicator) = (capacity, communicator)
        generator = SeededGenerator(seed: seed, purpose: .parameters)
    }

    /// What the first values are.
    public enum Initial {
        case constant(Float)
        /// Within plus or minus this.
        case uniform(Float)

        /// He initialisation, the uniform kind: a ReLU network keeps the variance of its signal from layer to layer. Needs no more than a square root, so every machine
        /// draws the same bits.
        public static func he(inputs: Int) -> Initial { .uniform((6 / Float(inputs)).squareRoot()) }

        /// The same for what is not rectified. Source: LeCun et al., 1998.
        public static func variancePreserving(inputs: Int) -> Initial { .uniform((3 / Float(inputs)).squareRoot()) }

        func scaled(by factor: Float) -> Initial {
            switch self {
            case .constant(let value): .constant(value * factor)
            case .uniform(let bound): .uniform(bound * factor)
            }
        }
    }

    /// A trained parameter with its number. In the order of use.
    /// - Parameter part: what of it this rank keeps, where ranks divide it: the values are those of the whole, so that no division changes them.
    mutating func parameter(
        _ name: String, _ shape: [Int], _ initial: Initial, decays: Bool, keeping part: MatrixPart? = nil
    ) -> NumberedParameter {
        let parameter = make(name, shape, initial, decays: decays, part)
        parameters.append(parameter)
        return NumberedParameter(number: parameters.count - 1, parameter: parameter)
    }

    mutating func statistic(_ name: String, _ shape: [Int], _ value: Float) -> Parameter {
        let parameter = make(name, shape, .constant(value), decays: false)
        statistics.append(parameter)
        return parameter
    }

    private mutating func make(
        _ name: String, _ shape: [Int], _ initial: Initial, decays: Bool, _ part: MatrixPart? = nil
    ) -> Parameter {
        let kept = part.map { part in
            shape.count == 1 ? [part.columnCount(of: shape[0])] : [part.rowCount(of: shape[0]), part.columnCount(of: shape[1])]
        }
        let parameter = Parameter(name: (prefix + [name]).joined(separator: "."), shape: kept ?? shape, decays: decays, isPart: part != nil)
        let columns = shape[shape.count - 1]
        var next = 0
        for index in 0..<shape.reduce(1, *) {
            let value =
                switch initial {
                case .constant(let value): value
                case .uniform(let bound): generator.uniform(-bound, bound)
                }
            guard part?.contains(row: shape.count == 1 ? nil : index / columns, column: index % columns) ?? true else { continue }
            // SAFETY: the parameter, which has room for all that is kept, is held here.
            unsafe parameter.values[next] = value
            next += 1
        }
        return parameter
    }

    /// Tells apart what layers draw in a pass.
    mutating func nextDraw() -> UInt64 {
        draws += 1
        return draws
    }

    /// Memory for a layer's output, or for what it keeps.
    func activation(_ shape: Shape) -> FloatBuffer {
        wantGradient(of: shape)
        return FloatBuffer(count: capacity * shape.elementCount)
    }

    /// Has `scratch` keep room for a gradient of this shape.
    func wantGradient(of shape: Shape) { scratch.reserve(capacity * shape.elementCount) }

    /// Names what `body` makes `name.` and so on.
    public mutating func named<R, Failure: Error>(
        _ name: String, _ body: (inout Builder) throws(Failure) -> R
    ) throws(Failure) -> R {
        prefix.append(name)
        defer { prefix.removeLast() }
        return try body(&self)
    }
}

/// Rows and columns of a matrix that one of several ranks keeps; nil: all.
struct MatrixPart {
    var rows: Range<Int>?
    var columns: [Range<Int>]?

    func rowCount(of all: Int) -> Int { rows?.count ?? all }
    func columnCount(of all: Int) -> Int { columns?.reduce(0) { $0 + $1.count } ?? all }

    /// - Parameter row: nil of a vector, which is divided as columns are.
    func contains(row: Int?, column: Int) -> Bool {
        (row.map { row in rows?.contains(row) ?? true } ?? true) && columns?.contains { $0.contains(column) } ?? true
    }
}

/// A parameter and its number in the model.
struct NumberedParameter {
    let number: Int
    let parameter: Parameter

    /// Its values, up to date.
    func current(_ pass: Pass) throws(VerbenaError) -> Matrix {
        try pass.sink?.prepare(number)
        return parameter.matrix
    }

    /// Its values in the backward pass.
    var matrix: Matrix { parameter.matrix }

    /// Where its gradient goes, until it is announced.
    func gradient(_ pass: Pass) -> Matrix {
        guard let sink = pass.sink else { fatalError("a backward pass without anybody who takes gradients") }
        let matrix = parameter.matrix
        // SAFETY: the sink keeps the view alive until it was announced, and it is not used after that.
        return unsafe Matrix(sink.gradient(at: number), rows: matrix.rows, columns: matrix.columns)
    }

    /// Says that its gradient is final.
    func announce(_ pass: Pass) throws(VerbenaError) { try pass.sink?.ready(number) }
}

/// Two pieces of memory for the gradients of a model's activations, which take turns: a layer reads one and writes the other. Taken on first use.
@safe
final class Scratch {
    private var elementCount = 1
    private lazy var first = FloatBuffer(count: elementCount)
    private lazy var second = FloatBuffer(count: elementCount)

    /// For one call of a kernel: as many values as the largest that was asked for.
    private(set) lazy var work = FloatBuffer(count: workCount)
    private var workCount = 1

    /// Before first use.
    func reserve(_ count: Int) { elementCount = max(elementCount, count) }
    func reserveWork(_ count: Int) { workCount = max(workCount, count) }

    /// The piece in which `matrix` does not lie.
    func matrix(besides matrix: Matrix, rows: Int, columns: Int) -> Matrix {
        (first.holds(matrix) ? second : first).matrix(rows: rows, columns: columns)
    }
}
