#include "CKernels.h"

// One loop, compiled for each instruction set; the loader's resolver picks one at start-up (GNU ifunc).
// Addition and division are exact to the bit in every width, so the choice never changes a result.
// Not under a sanitizer, whose runtime is not up yet when the resolver runs.
#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__x86_64__) && !__has_feature(thread_sanitizer) && !__has_feature(address_sanitizer)
#define EACH_ISA __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define EACH_ISA
#endif

EACH_ISA void kernel_sum_f32(float *restrict into, const float *restrict from, size_t count) {
    for (size_t i = 0; i < count; i++) into[i] += from[i];
}

EACH_ISA void kernel_sum_f64(double *restrict into, const double *restrict from, size_t count) {
    for (size_t i = 0; i < count; i++) into[i] += from[i];
}

EACH_ISA void kernel_divide_f32(float *values, float divisor, size_t count) {
    for (size_t i = 0; i < count; i++) values[i] /= divisor;
}

EACH_ISA void kernel_divide_f64(double *values, double divisor, size_t count) {
    for (size_t i = 0; i < count; i++) values[i] /= divisor;
}
