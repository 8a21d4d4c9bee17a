// What the trainer does element by element, compiled for each instruction set. No state but the set chosen at start-up. Only Trainer imports this.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// v = momentum v + g with g = gradient_scale * gradient + decay * w; then w = w - rate v, or with Nesterov's look ahead w = w - rate (g + momentum v).
typedef struct {
    float rate, momentum, gradient_scale, decay;
    bool is_nesterov;
} ElementMomentumStep;

/// AdamW: m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2 with g = gradient_scale * gradient, then
/// w = (1 - rate decay) w - rate mean_correction m / (sqrt(square_correction v) + epsilon). The corrections of step t are 1 / (1 - beta^t).
typedef struct {
    float rate, beta1, beta2, epsilon, decay, gradient_scale, mean_correction, square_correction;
} ElementAdamStep;

/// What batch norm goes by, an element a column: mean, 1 / standard deviation, and the factor after normalising.
typedef struct {
    const float *means, *inverses, *gamma;
} ElementMoments;

/// Windows over NHWC images without padding: as many along an axis as fit, (size - window) / stride + 1.
typedef struct {
    size_t batch, height, width, channels, window_height, window_width, stride;
} ElementPooling;

/// The kernels, compiled for one instruction set. The sets differ in speed only: each gives the same bits, for none lets a multiplication and an
/// addition become one rounding, and sums have one order.
///
/// Arrays are dense, row-major, of `count` or rows x columns elements unless something else is said, and need no alignment. Two arrays of a call do
/// not overlap unless it is said that they may be the same.
typedef struct {
    /// "avx512", "avx2" or "baseline".
    const char *name;
    /// Each byte, as a part of 255.
    void (*scale_bytes)(const uint8_t *bytes, float *values, size_t count);
    /// max(x, 0) in place; NaN stays NaN.
    void (*rectify)(float *values, size_t count);
    /// Clears the gradient where the output was not above 0.
    void (*rectify_gradient)(const float *outputs, float *gradient, size_t count);
    /// The sum of each column, from the first row on. At least one row.
    void (*sum_columns)(const float *matrix, size_t rows, size_t columns, float *sums);
    /// e^x of each x <= 0, in place; NaN of anything else.
    void (*exponentials)(float *values, size_t count);

    /// values += others, values *= others, values *= factor.
    void (*add)(float *values, const float *others, size_t count);
    void (*multiply)(float *values, const float *factors, size_t count);
    void (*scale)(float *values, float factor, size_t count);
    /// Summed in double, in 16 interleaved series.
    double (*sum_of_squares)(const float *values, size_t count);

    /// Each row += bias, and max(x, 0) of it.
    void (*add_bias)(float *matrix, const float *bias, size_t rows, size_t columns);
    void (*add_bias_and_rectify)(float *matrix, const float *bias, size_t rows, size_t columns);
    /// outputs = gelu(inputs + bias), in the form with tanh; the inputs become the slopes there, for `multiply` to go back by. No bias where it is null.
    void (*gelu)(float *inputs, const float *_Nullable bias, float *outputs, size_t rows, size_t columns);
    /// softmax(factor * row) in place, factor > 0. Causal: row r uses its first r % columns + 1 columns, the others become 0.
    void (*softmax)(float *matrix, size_t rows, size_t columns, float factor, bool is_causal);
    /// The gradient by the matrix in place of that by the probabilities P: factor * P * (g - sum(g P)). Columns that were not used become 0.
    void (*softmax_gradient)(const float *probabilities, float *gradient, size_t rows, size_t columns, float factor, bool is_causal);
    /// Clears the elements whose draw is below threshold, of 2^32, and multiplies the others by factor. Element i's draw hangs on key and i alone, so
    /// that the same call on the gradient goes back. Fewer than 2^32 elements.
    void (*drop)(float *values, size_t count, uint64_t key, uint32_t threshold, float factor);
    /// rows[i] = table[indices[i]], and table[indices[i]] += rows[i] in this order. Indices are not checked.
    void (*gather_rows)(const float *table, const int32_t *indices, float *rows, size_t count, size_t columns);
    void (*scatter_rows)(float *table, const int32_t *indices, const float *rows, size_t count, size_t columns);

    /// Layer norm: (x - mean) * inverse * gamma + beta with each row's own mean and inverse = 1 / sqrt(variance + epsilon), which are kept.
    void (*normalise_rows)(
        const float *inputs, const float *gamma, const float *beta, float *outputs, float *means, float *inverses, float epsilon, size_t rows,
        size_t columns);
    /// Sets, or where it is accumulating adds to, the gradient by the inputs, and sets those by gamma and beta. `gradient` may be `input_gradient`
    /// where it is not accumulating.
    void (*normalise_rows_gradient)(
        const float *inputs, const float *gamma, const float *means, const float *inverses, const float *gradient, float *input_gradient,
        float *gamma_gradient, float *beta_gradient, bool is_accumulating, size_t rows, size_t columns);

    /// Batch norm: each column's sum, and sum of squares.
    void (*column_moments)(const float *matrix, size_t rows, size_t columns, float *sums, float *squares);
    /// outputs = (x - mean) * (inverse * gamma) + beta (+ addend) (rectified). `outputs` may be `inputs` or `addend`.
    void (*normalise_columns)(
        const float *inputs, const ElementMoments *moments, const float *beta, const float *_Nullable addend, bool is_rectified,
        float *outputs, size_t rows, size_t columns);
    /// Each column's sum of the gradient, which is that by beta, and of gradient * normalised input, by gamma. Where outputs are given, first clears
    /// the gradient where they are not above 0, as `rectify_gradient` does.
    void (*normalise_columns_gradient_sums)(
        const float *inputs, const ElementMoments *moments, const float *_Nullable outputs, float *gradient, float *sums, float *products,
        size_t rows, size_t columns);
    /// The gradient by the inputs, out of those sums and 1 / the number of rows that the moments are of. `input_gradient` may be `gradient`.
    void (*normalise_columns_gradient)(
        const float *inputs, const ElementMoments *moments, const float *gradient, const float *sums, const float *products,
        float inverse_count, float *input_gradient, size_t rows, size_t columns);

    /// The largest of each window and channel, and which cell it was (row by row, at most 256 cells); the first of equal ones. NaN wins.
    void (*pool_largest)(const ElementPooling *shape, const float *inputs, float *outputs, uint8_t *choices);
    void (*pool_largest_gradient)(const ElementPooling *shape, const float *gradient, const uint8_t *choices, float *input_gradient);
    /// The mean of each window and channel.
    void (*pool_mean)(const ElementPooling *shape, const float *inputs, float *outputs);
    void (*pool_mean_gradient)(const ElementPooling *shape, const float *gradient, float *input_gradient);

    void (*update)(float *parameters, float *velocities, const float *gradient, const ElementMomentumStep *step, size_t count);
    void (*update_adam)(float *parameters, float *means, float *squares, const float *gradient, const ElementAdamStep *step, size_t count);
} ElementSet;

/// Has the caches fetch this memory, which need not exist. Nothing is read.
static inline void element_prefetch(const void *start, size_t byte_count) {
    for (size_t offset = 0; offset < byte_count; offset += 64) __builtin_prefetch((const char *)start + offset);
}

/// The best set that this processor has; chosen before `main`, the same for the life of the process.
const ElementSet *element_set_chosen(void);

/// The sets that this processor has, best first; null past the last.
const ElementSet *_Nullable element_set_at(size_t index);

#pragma clang assume_nonnull end
