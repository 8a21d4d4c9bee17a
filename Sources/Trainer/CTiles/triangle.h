// Products with lower triangles: half the operations of whole ones. Included by set.h.

/// Tiles of all rows of the triangle, which are the pixels' inputs; the sums of each end where the triangle does.
static void run_lower_rows(Pixels p, size_t size, size_t block) {
    for (size_t row = 0; row < size;) {
        size_t rows = next_height(size - row);
        p.length = row + rows;
        run_pixels(p, rows, block);
        p.inputs += rows * p.input_step;
        p.outputs += rows * p.output_step;
        row += rows;
    }
}

static void lower_of_product(const TriangleShape *t, Rows left, Rows right, float *lower, float *scratch) {
    size_t padded = rounded_up(t->size);
    for (size_t column = 0; column < t->columns; column++) {
        for (size_t row = 0; row < t->size; row++) scratch[column * padded + row] = right.values[row * right.stride + column];
        clear(scratch + column * padded + t->size, padded - t->size);
    }
    for (size_t row = 0; row < t->size;) {
        size_t rows = next_height(t->size - row), end = row + rows;
        for (size_t column = 0, block; column < end; column += block) {
            block = block_channels(end - column);
            Pixels p = {
                .inputs = left.values + row * left.stride, .input_step = left.stride, .runs = 1, .length = t->columns,
                .weights = scratch + column, .weight_step = padded, .outputs = lower + row * t->size + column, .output_step = t->size,
                .channels = t->size - column};
            run_pixels(p, rows, block);
        }
        row = end;
    }
}

/// The same rows, padded to whole vectors where they are not: in scratch.
static Rows whole_vectors(const TriangleShape *t, Rows rows, float *scratch) {
    size_t padded = rounded_up(t->columns);
    if (padded == t->columns) return rows;
    for (size_t row = 0; row < t->size; row++) pack_rows(rows.values + row * rows.stride, 1, t->columns, scratch + row * padded, padded);
    return (Rows){scratch, padded};
}

static void lower_times(const TriangleShape *t, const float *lower, Rows right, MutableRows result, float *scratch) {
    right = whole_vectors(t, right, scratch);
    for (size_t column = 0, block; column < t->columns; column += block) {
        block = block_channels(t->columns - column);
        Pixels p = {
            .inputs = lower, .input_step = t->size, .runs = 1, .weights = right.values + column, .weight_step = right.stride,
            .outputs = result.values + column, .output_step = result.stride, .channels = t->columns - column};
        run_lower_rows(p, t->size, block);
    }
}

static void lower_transposed_times(const TriangleShape *t, const float *lower, Rows right, MutableRows result, float *scratch) {
    right = whole_vectors(t, right, scratch);
    for (size_t column = 0, block; column < t->columns; column += block) {
        block = block_channels(t->columns - column);
        for (size_t row = 0; row < t->size;) {
            // A row of the result is a column of the triangle, which begins at the diagonal.
            size_t rows = next_height(t->size - row);
            Outer o = {
                .inputs = lower + row * t->size + row, .input_step = t->size, .gradient = right.values + row * right.stride + column,
                .gradient_step = right.stride, .height = 1, .width = t->size - row,
                .outputs = result.values + row * result.stride + column, .output_step = result.stride, .channels = t->columns - column};
            run_outer(o, rows, block);
            row += rows;
        }
    }
}
