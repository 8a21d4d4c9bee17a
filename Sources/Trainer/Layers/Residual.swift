public import Verbena

/// y = branch(x) + shortcut(x); without a shortcut, x itself.
public final class Residual: Layer {
    public let output: Shape
    private let branch: any Layer
    private let shortcut: (any Layer)?
    /// The output's gradient, while the branch works.
    private let kept: FloatBuffer
    private let keptInput: FloatBuffer?

    init(_ input: Shape, _ branch: any Layer, shortcut: (any Layer)? = nil, _ builder: Builder) {
        invariant(!branch.overwritesInput && shortcut?.overwritesInput != true, "a branch must leave its input as it is")
        invariant((shortcut?.output ?? input) == branch.output, "a branch to \(branch.output) beside \(shortcut?.output ?? input)")
        (self.branch, self.shortcut) = (branch, shortcut)
        output = branch.output
        kept = builder.activation(branch.output)
        keptInput = shortcut == nil ? nil : builder.activation(input)
    }

    public func forward(_ input: Matrix, _ pass: Pass) throws(VerbenaError) -> Matrix {
        let sum = try branch.forward(input, pass)
        let other = try shortcut?.forward(input, pass) ?? input
        Elements.chosen.add(other, to: sum)
        return sum
    }

    public func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) throws(VerbenaError) -> Matrix {
        let copy = kept.matrix(rows: gradient.rows, columns: gradient.columns)
        copy.copy(gradient)
        guard let shortcut, let keptInput else {
            let sum = try branch.backward(gradient, wantsInput: wantsInput, pass)
            if wantsInput { Elements.chosen.add(copy, to: sum) }
            return sum
        }
        // Parameters are announced from the last to the first, and the shortcut's come after the branch's.
        let byShortcut = try shortcut.backward(gradient, wantsInput: wantsInput, pass)
        guard wantsInput else { return try branch.backward(copy, wantsInput: false, pass) }
        let keptSum = keptInput.matrix(rows: byShortcut.rows, columns: byShortcut.columns)
        keptSum.copy(byShortcut)
        let sum = try branch.backward(copy, wantsInput: true, pass)
        Elements.chosen.add(keptSum, to: sum)
        return sum
    }
}
