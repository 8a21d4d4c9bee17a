// What stands between the matrix products: biases, activations, softmax, dropout, embeddings. Included by set.h.

static void add(float *values, const float *others, size_t count) {
    FOR_LANES(i, n, count, store(values + i, load(values + i, n) + load(others + i, n), n));
}

static void multiply(float *values, const float *factors, size_t count) {
    FOR_LANES(i, n, count, store(values + i, load(values + i, n) * load(factors + i, n), n));
}

static void scale(float *values, float factor, size_t count) {
    FOR_LANES(i, n, count, store(values + i, load(values + i, n) * factor, n));
}

static double sum_of_squares(const float *values, size_t count) {
    WideLanes sum = 0;
    FOR_LANES(i, n, count, WideLanes some = widened(load(values + i, n)); sum += some * some);
    return wide_sum_of(sum);
}

static void add_bias(float *matrix, const float *bias, size_t rows, size_t columns) {
    for (size_t row = 0; row < rows; row++) add(matrix + row * columns, bias, columns);
}

static void add_bias_and_rectify(float *matrix, const float *bias, size_t rows, size_t columns) {
    for (size_t row = 0; row < rows; row++) {
        float *values = matrix + row * columns;
        FOR_LANES(i, n, columns, Lanes sum = load(values + i, n) + load(bias + i, n);
                  store(values + i, sum < 0 ? (Lanes)0 : sum, n));
    }
}

/// x / (1 + e^(-2 u)) with u = sqrt(2 / pi) (x + 0.044715 x^3), which is x/2 (1 + tanh u); and its slope.
ALWAYS_INLINE void gelu_of(Lanes x, Lanes *value, Lanes *slope) {
    Lanes square = x * x;
    Lanes twice_u = x * (square * 0.0713548162726f + 1.59576912161f);
    Lanes power = quick_exponential(-twice_u);
    Lanes sigmoid = 1 / (power + 1);
    *value = x * sigmoid;
    // power * sigmoid is 1 - sigmoid, without its cancellation.
    *slope = sigmoid + *value * (power * sigmoid) * (square * 0.214064448818f + 1.59576912161f);
}

static void gelu(float *inputs, const float *bias, float *outputs, size_t rows, size_t columns) {
    for (size_t row = 0; row < rows; row++, inputs += columns, outputs += columns) {
        FOR_LANES(i, n, columns, Lanes x = load(inputs + i, n), value, slope; if (bias) x += load(bias + i, n);
                  gelu_of(x, &value, &slope); store(outputs + i, value, n); store(inputs + i, slope, n));
    }
}

/// The largest of the first `count` values; NaNs are passed over.
ALWAYS_INLINE float largest_of(const float *values, size_t count) {
    float largest = -__builtin_inff();
    size_t i = 0;
    if (count >= LANES) {
        Lanes most = load(values, LANES);
        for (i = LANES; count - i >= LANES; i += LANES) {
            Lanes some = load(values + i, LANES);
            most = some > most ? some : most;
        }
        for (int lane = 0; lane < LANES; lane++) largest = most[lane] > largest ? most[lane] : largest;
    }
    for (; i < count; i++) largest = values[i] > largest ? values[i] : largest;
    return largest;
}

ALWAYS_INLINE size_t columns_used(size_t row, size_t columns, bool is_causal) { return is_causal ? row % columns + 1 : columns; }

static void softmax(float *matrix, size_t rows, size_t columns, float factor, bool is_causal) {
    for (size_t row = 0; row < rows; row++, matrix += columns) {
        size_t count = columns_used(row, columns, is_causal);
        // The factor is positive, so that the largest stays the largest.
        float largest = largest_of(matrix, count) * factor;
        Lanes sums = 0;
        FOR_LANES(i, n, count, Lanes x = load(matrix + i, n) * factor - largest, some = quick_exponential(x);
                  some = x < -87.0f ? (Lanes)0 : some; store(matrix + i, some, n); sums += load(matrix + i, n));
        float inverse = 1 / sum_of(sums);
        FOR_LANES(i, n, count, store(matrix + i, load(matrix + i, n) * inverse, n));
        memset(matrix + count, 0, (columns - count) * sizeof *matrix);
    }
}

static void softmax_gradient(
    const float *probabilities, float *gradient, size_t rows, size_t columns, float factor, bool is_causal) {
    for (size_t row = 0; row < rows; row++, probabilities += columns, gradient += columns) {
        size_t count = columns_used(row, columns, is_causal);
        Lanes sums = 0;
        FOR_LANES(i, n, count, sums += load(probabilities + i, n) * load(gradient + i, n));
        float mean = sum_of(sums);
        FOR_LANES(i, n, count,
                  store(gradient + i, load(probabilities + i, n) * (load(gradient + i, n) - mean) * factor, n));
        memset(gradient + count, 0, (columns - count) * sizeof *gradient);
    }
}

/// Wellons' lowbias32: every bit of the result hangs on every bit of x.
ALWAYS_INLINE LaneCounters mixed(LaneCounters x) {
    x = (x ^ (x >> 16)) * 0x7feb352d;
    x = (x ^ (x >> 15)) * 0x846ca68b;
    return x ^ (x >> 16);
}

static void drop(float *values, size_t count, uint64_t key, uint32_t threshold, float factor) {
    LaneCounters counters = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    LaneCounters first = (uint32_t)key, second = (uint32_t)(key >> 32);
    FOR_LANES(i, n, count, LaneCounters drawn = mixed(mixed(counters + (uint32_t)i + first) ^ second);
              Lanes kept = load(values + i, n) * factor; store(values + i, drawn < threshold ? (Lanes)0 : kept, n));
}

static void gather_rows(const float *table, const int32_t *indices, float *rows, size_t count, size_t columns) {
    for (size_t row = 0; row < count; row++) memcpy(rows + row * columns, table + (size_t)indices[row] * columns, columns * sizeof *rows);
}

static void scatter_rows(float *table, const int32_t *indices, const float *rows, size_t count, size_t columns) {
    for (size_t row = 0; row < count; row++) add(table + (size_t)indices[row] * columns, rows + row * columns, columns);
}
