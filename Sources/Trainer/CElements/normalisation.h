// Layer norm, over each row; batch norm, over each column. Included by set.h.

static void normalise_rows(
    const float *inputs, const float *gamma, const float *beta, float *outputs, float *means, float *inverses, float epsilon, size_t rows,
    size_t columns) {
    for (size_t row = 0; row < rows; row++, inputs += columns, outputs += columns) {
        Lanes sums = 0, squares = 0;
        FOR_LANES(i, n, columns, sums += load(inputs + i, n));
        float mean = sum_of(sums) / (float)columns;
        // Lanes past the row's end must not count: their distance from the mean is not 0.
        FOR_LANES(i, n, columns, Lanes distance = load(inputs + i, n) - mean; store(outputs + i, distance, n);
                  distance = load(outputs + i, n); squares += distance * distance);
        float inverse = 1 / __builtin_elementwise_sqrt(sum_of(squares) / (float)columns + epsilon);
        FOR_LANES(i, n, columns,
                  store(outputs + i, load(outputs + i, n) * inverse * load(gamma + i, n) + load(beta + i, n), n));
        means[row] = mean;
        inverses[row] = inverse;
    }
}

static void normalise_rows_gradient(
    const float *inputs, const float *gamma, const float *means, const float *inverses, const float *gradient, float *input_gradient,
    float *gamma_gradient, float *beta_gradient, bool is_accumulating, size_t rows, size_t columns) {
    memset(gamma_gradient, 0, columns * sizeof *gamma_gradient);
    memset(beta_gradient, 0, columns * sizeof *beta_gradient);
    for (size_t row = 0; row < rows; row++, inputs += columns, gradient += columns, input_gradient += columns) {
        float mean = means[row], inverse = inverses[row];
        Lanes sums = 0, products = 0;
        FOR_LANES(i, n, columns, Lanes slope = load(gradient + i, n), normal = (load(inputs + i, n) - mean) * inverse;
                  store(beta_gradient + i, load(beta_gradient + i, n) + slope, n);
                  store(gamma_gradient + i, load(gamma_gradient + i, n) + slope * normal, n);
                  // 0 past the row's end, for gamma is 0 there.
                  slope *= load(gamma + i, n); sums += slope; products += slope * normal);
        float mean_slope = sum_of(sums) / (float)columns, mean_product = sum_of(products) / (float)columns;
        FOR_LANES(i, n, columns, Lanes slope = load(gradient + i, n) * load(gamma + i, n);
                  Lanes normal = (load(inputs + i, n) - mean) * inverse;
                  Lanes result = (slope - mean_slope - normal * mean_product) * inverse;
                  if (is_accumulating) result += load(input_gradient + i, n);
                  store(input_gradient + i, result, n));
    }
}

enum { BLOCK_ROWS = 64 };

/// Sums of one strip of at most 16 columns: rows in four interleaved series, blocks of 64 rows in float, and the blocks in double.
ALWAYS_INLINE void strip_moments(const float *matrix, size_t rows, size_t columns, size_t n, float *sums, float *squares) {
    WideLanes sum = 0, square = 0;
    for (size_t start = 0; start < rows; start += BLOCK_ROWS) {
        Lanes block_sums[4] = {0}, block_squares[4] = {0};
        size_t end = rows - start < BLOCK_ROWS ? rows : start + BLOCK_ROWS, row = start;
        for (; end - row >= 4; row += 4) {
            for (size_t series = 0; series < 4; series++) {
                Lanes some = load(matrix + (row + series) * columns, n);
                block_sums[series] += some;
                block_squares[series] += some * some;
            }
        }
        for (; row < end; row++) {
            Lanes some = load(matrix + row * columns, n);
            block_sums[0] += some;
            block_squares[0] += some * some;
        }
        sum += widened((block_sums[0] + block_sums[1]) + (block_sums[2] + block_sums[3]));
        square += widened((block_squares[0] + block_squares[1]) + (block_squares[2] + block_squares[3]));
    }
    store(sums, __builtin_convertvector(sum, Lanes), n);
    store(squares, __builtin_convertvector(square, Lanes), n);
}

static void column_moments(const float *matrix, size_t rows, size_t columns, float *sums, float *squares) {
    FOR_LANES(i, n, columns, strip_moments(matrix + i, rows, columns, n, sums + i, squares + i));
}

ALWAYS_INLINE void strip_normalise(
    const float *inputs, const float *addend, float *outputs, size_t rows, size_t columns, size_t n, Lanes mean, Lanes factor, Lanes beta,
    bool is_rectified) {
    for (size_t at = 0; at < rows * columns; at += columns) {
        Lanes result = (load(inputs + at, n) - mean) * factor + beta;
        if (addend) result += load(addend + at, n);
        if (is_rectified) result = result < 0 ? (Lanes)0 : result;
        store(outputs + at, result, n);
    }
}

static void normalise_columns(
    const float *inputs, const ElementMoments *moments, const float *beta, const float *addend, bool is_rectified, float *outputs,
    size_t rows, size_t columns) {
    FOR_LANES(i, n, columns, Lanes factor = load(moments->inverses + i, n) * load(moments->gamma + i, n);
              strip_normalise(
                  inputs + i, addend ? addend + i : NULL, outputs + i, rows, columns, n, load(moments->means + i, n), factor,
                  load(beta + i, n), is_rectified));
}

ALWAYS_INLINE void strip_gradient_sums(
    const float *inputs, const float *outputs, float *gradient, size_t rows, size_t columns, size_t n, Lanes mean, Lanes inverse,
    float *sums, float *products) {
    WideLanes sum = 0, product = 0;
    for (size_t start = 0; start < rows; start += BLOCK_ROWS) {
        Lanes block_sums[2] = {0}, block_products[2] = {0};
        size_t end = rows - start < BLOCK_ROWS ? rows : start + BLOCK_ROWS;
        for (size_t row = start; row < end; row++) {
            size_t at = row * columns;
            Lanes slope = load(gradient + at, n);
            if (outputs) {
                slope = load(outputs + at, n) > 0 ? slope : (Lanes)0;
                store(gradient + at, slope, n);
            }
            block_sums[row % 2] += slope;
            block_products[row % 2] += slope * ((load(inputs + at, n) - mean) * inverse);
        }
        sum += widened(block_sums[0] + block_sums[1]);
        product += widened(block_products[0] + block_products[1]);
    }
    store(sums, __builtin_convertvector(sum, Lanes), n);
    store(products, __builtin_convertvector(product, Lanes), n);
}

static void normalise_columns_gradient_sums(
    const float *inputs, const ElementMoments *moments, const float *outputs, float *gradient, float *sums, float *products, size_t rows,
    size_t columns) {
    FOR_LANES(i, n, columns,
              strip_gradient_sums(
                  inputs + i, outputs ? outputs + i : NULL, gradient + i, rows, columns, n, load(moments->means + i, n),
                  load(moments->inverses + i, n), sums + i, products + i));
}

ALWAYS_INLINE void strip_gradient(
    const float *inputs, const float *gradient, float *input_gradient, size_t rows, size_t columns, size_t n, Lanes mean, Lanes inverse,
    Lanes factor, Lanes mean_slope, Lanes mean_product) {
    for (size_t at = 0; at < rows * columns; at += columns) {
        Lanes normal = (load(inputs + at, n) - mean) * inverse;
        store(input_gradient + at, (load(gradient + at, n) - mean_slope - normal * mean_product) * factor, n);
    }
}

static void normalise_columns_gradient(
    const float *inputs, const ElementMoments *moments, const float *gradient, const float *sums, const float *products, float inverse_count,
    float *input_gradient, size_t rows, size_t columns) {
    FOR_LANES(i, n, columns, Lanes inverse = load(moments->inverses + i, n);
              strip_gradient(
                  inputs + i, gradient + i, input_gradient + i, rows, columns, n, load(moments->means + i, n), inverse,
                  inverse * load(moments->gamma + i, n), load(sums + i, n) * inverse_count, load(products + i, n) * inverse_count));
}
