internal import CElements

// SAFETY (whole file): a set is a constant of the program; whoever calls keeps its matrices' and arrays' memory alive, and shapes are checked here.

/// What batch norm goes by: of each column the mean, 1 / standard deviation, and the factor gamma after normalising.
struct ColumnMoments {
    var means: Matrix
    var inverses: Matrix
    var gamma: Matrix
}

/// Layer norm and batch norm. Vectors are matrices of one row. Matrices of a call do not overlap unless it is said that they may be the same.
extension Elements {
    /// Layer norm: outputs = (x - mean) * inverse * gamma + beta, with each row's mean and inverse = 1 / sqrt(variance + epsilon), which are kept.
    func normaliseRows(
        _ inputs: Matrix, gamma: Matrix, beta: Matrix, epsilon: Float, means: Matrix, inverses: Matrix, into outputs: Matrix
    ) {
        invariant(outputs.hasShape(of: inputs), "normalising keeps the shape")
        invariant(gamma.count == inputs.columns && beta.count == inputs.columns, "gamma and beta have an element for each column")
        invariant(means.count >= inputs.rows && inverses.count >= inputs.rows, "room for each row's mean and inverse")
        unsafe set.pointee.normalise_rows(
            inputs.dense, gamma.dense, beta.dense, outputs.dense, means.dense, inverses.dense, epsilon, inputs.rows, inputs.columns)
    }

    /// Sets `inputGradient`, or adds to it where `isAccumulating`; sets the gradients by gamma and beta. `gradient`, by the outputs, may be
    /// `inputGradient` where nothing is accumulated.
    func normaliseRows(
        gradient: Matrix, inputs: Matrix, gamma: Matrix, means: Matrix, inverses: Matrix, inputGradient: Matrix, isAccumulating: Bool,
        gammaGradient: Matrix, betaGradient: Matrix
    ) {
        invariant(gradient.hasShape(of: inputs) && inputGradient.hasShape(of: inputs), "normalising keeps the shape")
        invariant(
            gamma.count == inputs.columns && gammaGradient.count == inputs.columns && betaGradient.count == inputs.columns,
            "gamma and beta have an element for each column")
        invariant(means.count >= inputs.rows && inverses.count >= inputs.rows, "each row's mean and inverse")
        unsafe set.pointee.normalise_rows_gradient(
            inputs.dense, gamma.dense, means.dense, inverses.dense, gradient.dense, inputGradient.dense, gammaGradient.dense,
            betaGradient.dense,
            isAccumulating, inputs.rows, inputs.columns)
    }

    /// Each column's sum, and sum of squares.
    func columnMoments(of matrix: Matrix, sums: Matrix, squares: Matrix) {
        invariant(sums.count == matrix.columns && squares.count == matrix.columns, "as many sums as columns")
        unsafe set.pointee.column_moments(matrix.dense, matrix.rows, matrix.columns, sums.dense, squares.dense)
    }

    /// Batch norm: outputs = (x - mean) * (inverse * gamma) + beta, + addend if there is one, and of that max(., 0) if it is rectified.
    /// `outputs` may be `inputs` or the addend.
    func normaliseColumns(
        _ inputs: Matrix, by moments: ColumnMoments, beta: Matrix, adding addend: Matrix? = nil, isRectified: Bool, into outputs: Matrix
    ) {
        invariant(outputs.hasShape(of: inputs) && addend?.hasShape(of: inputs) ?? true, "normalising keeps the shape")
        check(moments, columns: inputs.columns, beta, beta)
        unsafe withPointers(moments) { moments in
            unsafe set.pointee.normalise_columns(
                inputs.dense, moments, beta.dense, addend?.dense, isRectified, outputs.dense, inputs.rows, inputs.columns)
        }
    }

    /// The gradients by beta (each column's sum) and gamma (of gradient * normalised input). Where `outputs` are given, which were rectified, first
    /// clears the gradient where they are not above 0: what is left is the gradient by the addend.
    func normaliseColumns(
        gradient: Matrix, inputs: Matrix, by moments: ColumnMoments, outputs: Matrix? = nil, gammaGradient: Matrix, betaGradient: Matrix
    ) {
        invariant(gradient.hasShape(of: inputs) && outputs?.hasShape(of: inputs) ?? true, "normalising keeps the shape")
        check(moments, columns: inputs.columns, gammaGradient, betaGradient)
        unsafe withPointers(moments) { moments in
            unsafe set.pointee.normalise_columns_gradient_sums(
                inputs.dense, moments, outputs?.dense, gradient.dense, betaGradient.dense, gammaGradient.dense, inputs.rows, inputs.columns)
        }
    }

    /// The gradient by the inputs, after those by gamma and beta, which are of all `count` rows that the moments are of: where ranks share their
    /// moments, both are sums over the ranks. `inputGradient` may be `gradient`.
    func normaliseColumns(
        gradient: Matrix, inputs: Matrix, by moments: ColumnMoments, gammaGradient: Matrix, betaGradient: Matrix, count: Int,
        inputGradient: Matrix
    ) {
        invariant(gradient.hasShape(of: inputs) && inputGradient.hasShape(of: inputs), "normalising keeps the shape")
        check(moments, columns: inputs.columns, gammaGradient, betaGradient)
        unsafe withPointers(moments) { moments in
            unsafe set.pointee.normalise_columns_gradient(
                inputs.dense, moments, gradient.dense, betaGradient.dense, gammaGradient.dense, 1 / Float(count), inputGradient.dense,
                inputs.rows, inputs.columns)
        }
    }

    private func check(_ moments: ColumnMoments, columns: Int, _ first: Matrix, _ second: Matrix) {
        invariant(
            moments.means.count == columns && moments.inverses.count == columns && moments.gamma.count == columns
                && first.count == columns && second.count == columns,
            "moments, gamma and beta have an element for each column")
    }

    @unsafe
    private func withPointers(_ moments: ColumnMoments, body: (UnsafePointer<ElementMoments>) -> Void) {
        var pointers = unsafe ElementMoments(means: moments.means.dense, inverses: moments.inverses.dense, gamma: moments.gamma.dense)
        unsafe body(&pointers)
    }
}
