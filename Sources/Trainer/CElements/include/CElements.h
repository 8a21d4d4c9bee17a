// What the trainer does element by element, compiled for each instruction set. No state but the set chosen at start-up. Only Trainer imports this.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// The kernels, compiled for one instruction set. The sets differ in speed only: each gives the same bits, for none lets a multiplication and an
/// addition become one rounding.
///
/// Arrays are dense, of `count` elements unless something else is said, and need no alignment. Two arrays of a call do not overlap.
typedef struct {
    /// "avx512", "avx2" or "baseline".
    const char *_Nonnull name;
    /// Each byte, as a part of 255.
    void (*_Nonnull scale_bytes)(const uint8_t *_Nonnull bytes, float *_Nonnull values, size_t count);
    /// max(x, 0) in place; NaN stays NaN.
    void (*_Nonnull rectify)(float *_Nonnull values, size_t count);
    /// Clears the gradient where the output was not above 0.
    void (*_Nonnull rectify_gradient)(const float *_Nonnull outputs, float *_Nonnull gradient, size_t count);
    /// The sum of each column of a row-major matrix, from the first row on. At least one row.
    void (*_Nonnull sum_columns)(const float *_Nonnull matrix, size_t rows, size_t columns, float *_Nonnull sums);
    /// v = momentum v + g, then w = w - rate v.
    void (*_Nonnull update)(
        float *_Nonnull parameters, float *_Nonnull velocities, const float *_Nonnull gradient, float rate, float momentum, size_t count);
    /// e^x of each x <= 0, in place; NaN of anything else.
    void (*_Nonnull exponentials)(float *_Nonnull values, size_t count);
} ElementSet;

/// Has the caches fetch this memory, which need not exist. Nothing is read.
static inline void element_prefetch(const void *_Nonnull start, size_t byte_count) {
    for (size_t offset = 0; offset < byte_count; offset += 64) __builtin_prefetch((const char *)start + offset);
}

/// The best set that this processor has; chosen before `main`, the same for the life of the process.
const ElementSet *_Nonnull element_set_chosen(void);

/// The sets that this processor has, best first; null past the last.
const ElementSet *_Nullable element_set_at(size_t index);
