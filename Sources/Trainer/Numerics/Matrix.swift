internal import COneDNN
internal import COpenBLAS
internal import Foundation

/// Memory for floats, aligned to a cache line and zeroed; freed with its last reference.
/// Not for use by two threads at once.
@safe
public final class FloatBuffer {
    /// Large buffers take huge pages where the kernel gives them: a matrix product walks through more small ones than the processor keeps at hand.
    private static let hugePageBytes = 2 << 20

    public let count: Int
    public let values: UnsafeMutableBufferPointer<Float>

    public init(count: Int) {
        self.count = count
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

    /// Whether the matrix lies in here.
    func holds(_ matrix: Matrix) -> Bool {
        // SAFETY: addresses are compared, nothing is read.
        guard let base = unsafe values.baseAddress else { return false }
        return unsafe matrix.base >= base && matrix.base < base + values.count
    }

    /// The first `count` values as one row.
    func row(_ count: Int) -> Matrix { matrix(rows: 1, columns: count) }

    /// The first `rows * columns` values.
    public func matrix(rows: Int, columns: Int) -> Matrix {
        // SAFETY: whoever asks holds this object for as long as it uses the matrix.
        unsafe Matrix(values, rows: rows, columns: columns)
    }
}

/// A row-major view of `rows * columns` floats. A handle: whoever makes it keeps the memory alive while it is used.
/// May be empty: a rank without samples has matrices without rows.
@safe
public struct Matrix {
    public let rows: Int
    public let columns: Int
    /// From the beginning of a row to that of the next, in floats.
    public let stride: Int
    public let base: UnsafeMutablePointer<Float>

    /// The beginning of `memory`, which must outlive the matrix, and hold all rows.
    /// - Parameter stride: at least `columns`, which is what it is where none is given.
    @unsafe
    public init(_ memory: UnsafeMutableBufferPointer<Float>, rows: Int, columns: Int, stride: Int? = nil) {
        let stride = stride ?? columns
        invariant(rows >= 0 && columns >= 0 && stride >= columns, "a matrix of \(rows) x \(columns), with rows \(stride) apart")
        invariant(
            rows == 0 || memory.count >= (rows - 1) * stride + columns,
            "\(memory.count) values cannot hold a matrix of \(rows) x \(columns), with rows \(stride) apart")
        // SAFETY: the caller keeps the memory for as long as the matrix is used.
        unsafe self.init(rows: rows, columns: columns, stride: stride, base: memory.baseAddress!)
    }

    @unsafe
    private init(rows: Int, columns: Int, stride: Int, base: UnsafeMutablePointer<Float>) {
        (self.rows, self.columns, self.stride) = (rows, columns, stride)
        // SAFETY: as in the other init.
        unsafe self.base = base
    }

    public var count: Int { rows * columns }

    public func hasShape(of other: Matrix) -> Bool { rows == other.rows && columns == other.columns }

    /// The first of `count` values in a row; traps where rows lie apart, which only products can take.
    public var dense: UnsafeMutablePointer<Float> {
        invariant(stride == columns || rows <= 1, "rows of \(columns) lie \(stride) apart")
        // SAFETY: as `base`.
        return unsafe base
    }

    /// A part of this matrix, in its memory: what products take in place.
    public func part(rows: Range<Int>? = nil, columns: Range<Int>? = nil) -> Matrix {
        let (rows, columns) = (rows ?? 0..<self.rows, columns ?? 0..<self.columns)
        invariant(
            rows.lowerBound >= 0 && rows.upperBound <= self.rows && columns.lowerBound >= 0 && columns.upperBound <= self.columns,
            "rows \(rows) and columns \(columns) of a matrix of \(self.rows) x \(self.columns)")
        // SAFETY: inside this matrix, whose maker keeps the memory alive.
        return unsafe Matrix(
            rows: rows.count, columns: columns.count, stride: stride, base: base + rows.lowerBound * stride + columns.lowerBound)
    }

    /// The same values in rows of another length. Traps where rows lie apart, or the count changes.
    public func reshaped(rows: Int, columns: Int) -> Matrix {
        invariant(rows * columns == count, "\(count) values are no matrix of \(rows) x \(columns)")
        // SAFETY: as many values as this matrix has, whose maker keeps the memory alive.
        return unsafe Matrix(rows: rows, columns: columns, stride: columns, base: dense)
    }

    /// Takes the other's values, which must be as many, and lie elsewhere.
    public func copy(_ other: Matrix) {
        invariant(count == other.count, "\(other.count) values into \(count)")
        // SAFETY: both have that many values, which their makers keep alive.
        unsafe dense.update(from: other.dense, count: count)
    }

    /// Every row becomes this one.
    public func setRows(_ row: Matrix) {
        invariant(row.count == columns, "\(row.count) values for rows of \(columns)")
        for index in 0..<rows {
            // SAFETY: a row of this matrix; the other has as many values.
            unsafe (base + index * stride).update(from: row.dense, count: columns)
        }
    }

    public var transposed: Operand { Operand(matrix: self, isTransposed: true) }
    public var plain: Operand { Operand(matrix: self, isTransposed: false) }

    /// One side of a product, read as it lies or transposed.
    public struct Operand {
        public let matrix: Matrix
        public let isTransposed: Bool
        public var rows: Int { isTransposed ? matrix.columns : matrix.rows }
        public var columns: Int { isTransposed ? matrix.rows : matrix.columns }
        fileprivate var transposition: Int32 { Int32(isTransposed ? BLAS_TRANSPOSED : BLAS_AS_IT_IS) }
    }

    /// self = scale * left x right, or self += it. 2 * rows * columns * depth operations, in sgemm. Rows of the three may lie apart; the product
    /// overlaps neither side.
    ///
    /// The bits of a row may hang on the number of rows: oneDNN takes other kernels for one row, and for up to 8 where a side is transposed.
    public func setProduct(_ left: Operand, _ right: Operand, scale: Float = 1, accumulating: Bool = false) {
        invariant(
            left.rows == rows && right.columns == columns && left.columns == right.rows,
            "\(left.rows) x \(left.columns) times \(right.rows) x \(right.columns) is not \(rows) x \(columns)")
        if rows == 0 || columns == 0 { return }
        // A sum of nothing. oneDNN would leave the matrix as it is.
        if left.columns == 0 {
            if !accumulating { clear() }
            return
        }
        invariant(BLAS.isReady, BLAS.failure ?? "")
        let beta: Float = accumulating ? 1 : 0
        // SAFETY: the three matrices' makers keep their memory alive, and the shapes were checked above and in init.
        if BLAS.isOneDNN {
            unsafe onednn_sgemm(
                left.isTransposed, right.isTransposed, Int64(rows), Int64(columns), Int64(left.columns), scale,
                left.matrix.base, Int64(left.matrix.stride), right.matrix.base, Int64(right.matrix.stride), beta, base, Int64(stride))
        } else {
            unsafe blas_sgemm(
                Int32(BLAS_ROW_MAJOR), left.transposition, right.transposition, Int32(rows), Int32(columns), Int32(left.columns), scale,
                left.matrix.base, Int32(left.matrix.stride), right.matrix.base, Int32(right.matrix.stride), beta, base, Int32(stride))
        }
    }

    /// Sets all to 0.
    public func clear() {
        for row in 0..<rows {
            // SAFETY: the row is inside the matrix, whose maker keeps the memory alive.
            unsafe (base + row * stride).update(repeating: 0, count: columns)
        }
    }
}
