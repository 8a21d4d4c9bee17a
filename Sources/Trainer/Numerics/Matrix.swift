internal import COpenBLAS
internal import Foundation

/// Memory for floats, aligned to a cache line and zeroed; freed with its last reference.
/// Not for use by two threads at once.
@safe
final class FloatBuffer {
    /// Large buffers take huge pages where the kernel gives them: a matrix product walks through more small ones than the processor keeps at hand.
    private static let hugePageBytes = 2 << 20

    let values: UnsafeMutableBufferPointer<Float>

    init(count: Int) {
        let byteCount = count * MemoryLayout<Float>.stride
        let isLarge = byteCount >= Self.hugePageBytes
        let raw = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: isLarge ? Self.hugePageBytes : 64)
        // SAFETY: advice about the memory that was just allocated; a kernel without huge pages refuses it, which changes nothing.
        if isLarge { _ = unsafe madvise(raw.baseAddress, byteCount, MADV_HUGEPAGE) }
        // SAFETY: this object owns the memory until its deinit, and nothing else is ever bound to it.
        unsafe values = raw.bindMemory(to: Float.self)
        unsafe values.initialize(repeating: 0)
    }

    deinit {
        // SAFETY: allocated by init; matrices over it are used only while their owner holds this object.
        unsafe values.deallocate()
    }

    /// The first `rows * columns` values.
    func matrix(rows: Int, columns: Int) -> Matrix {
        // SAFETY: whoever asks holds this object for as long as it uses the matrix.
        unsafe Matrix(values, rows: rows, columns: columns)
    }
}

/// A row-major view of `rows * columns` floats. A handle: whoever makes it keeps the memory alive while it is used.
@safe
struct Matrix {
    let rows: Int
    let columns: Int
    let base: UnsafeMutablePointer<Float>

    /// The beginning of `memory`, which must hold at least `rows * columns` values and outlive the matrix.
    @unsafe
    init(_ memory: UnsafeMutableBufferPointer<Float>, rows: Int, columns: Int) {
        invariant(rows > 0 && columns > 0, "a matrix of \(rows) x \(columns)")
        invariant(memory.count >= rows * columns, "\(memory.count) values cannot hold a matrix of \(rows) x \(columns)")
        self.rows = rows
        self.columns = columns
        // SAFETY: the caller keeps the memory for as long as the matrix is used.
        unsafe base = memory.baseAddress!
    }

    var count: Int { rows * columns }

    func hasShape(of other: Matrix) -> Bool { rows == other.rows && columns == other.columns }

    var transposed: Operand { Operand(matrix: self, isTransposed: true) }
    var plain: Operand { Operand(matrix: self, isTransposed: false) }

    /// One side of a product, read as it lies or transposed.
    struct Operand {
        let matrix: Matrix
        let isTransposed: Bool
        var rows: Int { isTransposed ? matrix.columns : matrix.rows }
        var columns: Int { isTransposed ? matrix.rows : matrix.columns }
        fileprivate var transposition: Int32 { Int32(isTransposed ? BLAS_TRANSPOSED : BLAS_AS_IT_IS) }
    }

    /// self = left x right, or self += left x right. 2 * rows * columns * depth operations, in sgemm.
    func setProduct(_ left: Operand, _ right: Operand, accumulating: Bool = false) {
        invariant(
            left.rows == rows && right.columns == columns && left.columns == right.rows,
            "\(left.rows) x \(left.columns) times \(right.rows) x \(right.columns) is not \(rows) x \(columns)")
        invariant(BLAS.isReady, "OpenBLAS: \(BLAS.failure ?? "")")
        // SAFETY: the three matrices' makers keep their memory alive, and the shapes were checked above and in init.
        unsafe blas_sgemm(
            Int32(BLAS_ROW_MAJOR), left.transposition, right.transposition, Int32(rows), Int32(columns), Int32(left.columns),
            1, left.matrix.base, Int32(left.matrix.columns), right.matrix.base, Int32(right.matrix.columns),
            accumulating ? 1 : 0, base, Int32(columns))
    }
}
