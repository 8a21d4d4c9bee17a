// Element kernels: dense arrays in, dense arrays out. No allocation, no state, no alignment wanted.
#pragma once

#include <stddef.h>

/// into[i] += from[i]; the arrays do not overlap.
void kernel_sum_f32(float *restrict into, const float *restrict from, size_t count);
void kernel_sum_f64(double *restrict into, const double *restrict from, size_t count);

/// values[i] /= divisor, each rounded once.
void kernel_divide_f32(float *values, float divisor, size_t count);
void kernel_divide_f64(double *values, double divisor, size_t count);
