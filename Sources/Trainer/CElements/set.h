// Every kernel for one instruction set. Included by the set's own file, which says by macros
//   SET        its name
//   SET_NAME   the same as a text
#include <string.h>

#include "CElements.h"

// Vectors wider than a register are arguments of inlined functions only, which have no calling convention.
#pragma clang diagnostic ignored "-Wpsabi"

// The same bits on every instruction set: no multiplication and addition may become one rounding.
#pragma STDC FP_CONTRACT OFF

#define PASTE(a, b) a##_##b
#define EXPAND(a, b) PASTE(a, b)

static void scale_bytes(const uint8_t *restrict bytes, float *restrict values, size_t count) {
    for (size_t i = 0; i < count; i++) values[i] = (float)bytes[i] * (1.0f / 255);
}

static void rectify(float *values, size_t count) {
    for (size_t i = 0; i < count; i++) values[i] = values[i] < 0 ? 0 : values[i];
}

static void rectify_gradient(const float *restrict outputs, float *restrict gradient, size_t count) {
    for (size_t i = 0; i < count; i++) {
        float value = gradient[i];
        gradient[i] = outputs[i] > 0 ? value : 0;
    }
}

static void sum_columns(const float *restrict matrix, size_t rows, size_t columns, float *restrict sums) {
    memcpy(sums, matrix, columns * sizeof *sums);
    for (size_t row = 1; row < rows; row++) {
        const float *values = matrix + row * columns;
        for (size_t column = 0; column < columns; column++) sums[column] += values[column];
    }
}

typedef float Floats __attribute__((ext_vector_type(8)));
typedef double Doubles __attribute__((ext_vector_type(8)));
typedef int32_t Integers __attribute__((ext_vector_type(8)));
typedef int64_t WideIntegers __attribute__((ext_vector_type(8)));

/// x = k ln 2 + r with |r| <= ln 2 / 2, e^x = 2^k e^r, and the Taylor series of e^r in double; from the four basic operations alone, so that it gives
/// the same bits everywhere. Error: below 0.51 units in the last place.
static inline __attribute__((always_inline)) Floats exponential(Floats x) {
    // Below -104 the result is less than half of the smallest float; above, 2^k is a normal double.
    Integers is_no_power = !(x <= 0), is_nothing = x < -104;
    Doubles wide = __builtin_convertvector((is_no_power | is_nothing) ? (Floats)0 : x, Doubles);
    // To the nearest, ties away from zero; none of these is above 0.
    Doubles quotient = wide * 1.4426950408889634;
    Doubles k = __builtin_convertvector(__builtin_convertvector(quotient, Integers), Doubles);
    k = (WideIntegers)(k - quotient >= 0.5) ? k - 1 : k;
    Doubles r = wide - k * 0.6931471805599453;
    Doubles sum = 1;
    for (double term = 11; term >= 1; term--) sum = 1 + r / term * sum;
    Doubles power = (Doubles)((__builtin_convertvector(k, WideIntegers) + 1023) << 52);
    Floats result = __builtin_convertvector(sum * power, Floats);
    result = is_nothing ? (Floats)0 : result;
    return is_no_power ? (Floats)__builtin_nanf("") : result;
}

static void exponentials(float *values, size_t count) {
    for (size_t i = 0; i < count; i += 8) {
        size_t bytes = (count - i < 8 ? count - i : 8) * sizeof *values;
        Floats some = 0;
        memcpy(&some, values + i, bytes);
        some = exponential(some);
        memcpy(values + i, &some, bytes);
    }
}

#include "lanes.h"

#include "activations.h"
#include "normalisation.h"
#include "optimizers.h"
#include "pooling.h"

const ElementSet EXPAND(element_set, SET) = {
    .name = SET_NAME,
    .scale_bytes = scale_bytes,
    .rectify = rectify,
    .rectify_gradient = rectify_gradient,
    .sum_columns = sum_columns,
    .update = update,
    .exponentials = exponentials,
    .add = add,
    .multiply = multiply,
    .scale = scale,
    .sum_of_squares = sum_of_squares,
    .add_bias = add_bias,
    .add_bias_and_rectify = add_bias_and_rectify,
    .gelu = gelu,
    .softmax = softmax,
    .softmax_gradient = softmax_gradient,
    .drop = drop,
    .gather_rows = gather_rows,
    .scatter_rows = scatter_rows,
    .normalise_rows = normalise_rows,
    .normalise_rows_gradient = normalise_rows_gradient,
    .column_moments = column_moments,
    .normalise_columns = normalise_columns,
    .normalise_columns_gradient_sums = normalise_columns_gradient_sums,
    .normalise_columns_gradient = normalise_columns_gradient,
    .pool_largest = pool_largest,
    .pool_largest_gradient = pool_largest_gradient,
    .pool_mean = pool_mean,
    .pool_mean_gradient = pool_mean_gradient,
    .update_adam = update_adam,
};
