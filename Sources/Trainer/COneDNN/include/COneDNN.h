// oneDNN's matrix product, loaded at run time, so that nothing needs its headers or its presence. Only Trainer imports this.
#pragma once

#include <stdbool.h>
#include <stdint.h>

/// What was loaded.
typedef struct {
    int major, minor, patch;
    /// The best instructions that it uses, by oneDNN's own bits: ONEDNN_AVX512 or ONEDNN_AVX2, with further ones perhaps, or less than both.
    unsigned instructions;
} OneDNNLibrary;

enum { ONEDNN_AVX2 = 0x7, ONEDNN_AVX512 = 0x27 };

/// Loads the library for good, with OMP_NUM_THREADS=1 in what it sees of the environment, which is as before when this returns. Called once, before
/// `onednn_sgemm`. NULL, or why it cannot be used: a text that the next call of the loader overwrites.
///
/// Other threads may read the environment meanwhile; none may change it.
/// - portable: holds it to AVX2, so that every x86 CPU that has AVX2 gives the same bits.
const char *onednn_load(bool portable, OneDNNLibrary *library);

/// C = alpha op(A) op(B) + beta C, row-major, on the calling thread alone. M, N and K are above 0: with K = 0 the library reports success and leaves C as
/// it is. Traps where the library refuses.
void onednn_sgemm(
    bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
    float beta, float *c, int64_t ldc);
