internal import CElements

// SAFETY (whole file): a set is a constant of the program; whoever calls keeps its matrices' and arrays' memory alive, and shapes are checked here.

/// What stands between the matrix products. Matrices of a call do not overlap.
extension Elements {
    /// values += others.
    func add(_ others: Matrix, to values: Matrix) {
        invariant(others.hasShape(of: values), "only matrices of one shape are added")
        unsafe set.pointee.add(values.dense, others.dense, values.count)
    }

    /// values *= factors, element by element.
    func multiply(_ values: Matrix, by factors: Matrix) {
        invariant(factors.hasShape(of: values), "as many factors as values")
        unsafe set.pointee.multiply(values.dense, factors.dense, values.count)
    }

    /// values *= factor.
    func scale(_ values: Matrix, by factor: Float) { unsafe set.pointee.scale(values.dense, factor, values.count) }

    /// The sum of all squares, in double.
    @unsafe
    func sumOfSquares(_ values: UnsafeMutableBufferPointer<Float>) -> Double {
        guard let start = values.baseAddress else { return 0 }
        return unsafe set.pointee.sum_of_squares(start, values.count)
    }

    /// Adds the bias, an element a column, to each row.
    func add(bias: Matrix, to matrix: Matrix) {
        invariant(bias.count == matrix.columns, "a bias has an element for each column")
        unsafe set.pointee.add_bias(matrix.dense, bias.dense, matrix.rows, matrix.columns)
    }

    /// max(x + bias, 0), in place.
    func rectify(_ matrix: Matrix, bias: Matrix) {
        invariant(bias.count == matrix.columns, "a bias has an element for each column")
        unsafe set.pointee.add_bias_and_rectify(matrix.dense, bias.dense, matrix.rows, matrix.columns)
    }

    /// outputs = gelu(inputs + bias), in the form with tanh. The inputs become the slopes there, by which `multiply` takes the outputs' gradient back.
    func gelu(_ inputs: Matrix, bias: Matrix? = nil, into outputs: Matrix) {
        invariant(outputs.hasShape(of: inputs) && bias?.count ?? inputs.columns == inputs.columns, "a GELU keeps its inputs' shape")
        unsafe set.pointee.gelu(inputs.dense, bias?.dense, outputs.dense, inputs.rows, inputs.columns)
    }

    /// softmax(scale * row) of each row, in place; scale > 0.
    /// - Parameter isCausal: row r uses its first `r % columns + 1` columns, the others become 0: one head's square after the other.
    func softmax(_ matrix: Matrix, scale: Float, isCausal: Bool) {
        unsafe set.pointee.softmax(matrix.dense, matrix.rows, matrix.columns, scale, isCausal)
    }

    /// The gradient by what `softmax` was given, in place of that by the probabilities that it made; scale and mask as there.
    func softmax(gradient: Matrix, probabilities: Matrix, scale: Float, isCausal: Bool) {
        invariant(gradient.hasShape(of: probabilities), "a softmax's gradient has its shape")
        unsafe set.pointee.softmax_gradient(probabilities.dense, gradient.dense, gradient.rows, gradient.columns, scale, isCausal)
    }

    /// Clears each element with probability `rate`, 0 ..< 1, and divides the others by 1 - rate. What is cleared hangs on the key and the element's
    /// place alone: the same call on the gradient goes back.
    func drop(_ values: Matrix, rate: Float, key: UInt64) {
        invariant(rate >= 0 && rate < 1, "a drop-out rate of \(rate)")
        invariant(values.count <= UInt32.max, "drop-out of \(values.count) elements")
        unsafe set.pointee.drop(values.dense, values.count, key, UInt32(Double(rate) * 0x1p32), 1 / (1 - rate))
    }

    /// Row i of `rows` = row `indices[i]` of `table`.
    @unsafe
    func gather(_ indices: UnsafeBufferPointer<Int32>, of table: Matrix, into rows: Matrix) {
        unsafe check(indices, of: table, rows)
        guard let start = indices.baseAddress else { return }
        unsafe set.pointee.gather_rows(table.dense, start, rows.dense, rows.rows, rows.columns)
    }

    /// Row `indices[i]` of `table` += row i of `rows`, in this order.
    @unsafe
    func scatter(_ rows: Matrix, to indices: UnsafeBufferPointer<Int32>, of table: Matrix) {
        unsafe check(indices, of: table, rows)
        guard let start = indices.baseAddress else { return }
        unsafe set.pointee.scatter_rows(table.dense, start, rows.dense, rows.rows, rows.columns)
    }

    @unsafe
    private func check(_ indices: UnsafeBufferPointer<Int32>, of table: Matrix, _ rows: Matrix) {
        invariant(indices.count == rows.rows && table.columns == rows.columns, "an index for each row, and rows as long as the table's")
        for place in indices.indices {
            let index = unsafe indices[place]
            invariant(index >= 0 && index < table.rows, "no row \(index) in a table of \(table.rows)")
        }
    }
}
