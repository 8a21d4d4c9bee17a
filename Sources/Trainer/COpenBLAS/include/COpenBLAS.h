// OpenBLAS, loaded at run time, because the library settles which kernels it takes while it is loaded. Only Trainer imports this.
#pragma once

#include <stdbool.h>

/// What the choice of kernels goes by.
typedef struct {
    /// As cpuid has it; the vendor is empty where there is no cpuid.
    char vendor[13];
    unsigned family;
    unsigned model;
    /// What both the CPU and the operating system offer.
    bool has_avx;
    bool has_avx2_and_fma;
    /// All of F, CD, BW, DQ and VL: what OpenBLAS' SkylakeX kernels use.
    bool has_avx512;
} BLASProcessor;

/// What was loaded.
typedef struct {
    /// Constants of the library: its kernels, and a text that begins with its name and version.
    const char *core_name;
    const char *configuration;
    int threads;
    /// Whether the process had loaded it before, so that its kernels were settled already.
    bool was_loaded;
} BLASLibrary;

enum { BLAS_ROW_MAJOR = 101, BLAS_AS_IT_IS = 111, BLAS_TRANSPOSED = 112 };

BLASProcessor blas_processor(void);

/// Loads the library for good and holds it to the calling thread. It sees `core_type`, unless that is NULL, as its variable
/// OPENBLAS_CORETYPE, and 1 as OPENBLAS_NUM_THREADS; the process's environment is as before when this returns. Called once, before `blas_sgemm`.
/// NULL, or why it cannot be loaded: a text that the next call of the loader overwrites.
///
/// Other threads may read the environment meanwhile; none may change it.
const char *blas_load(const char *core_type, BLASLibrary *library);

/// cblas_sgemm, with 32-bit integers, as every distribution builds it under this name.
void blas_sgemm(
    int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb,
    float beta, float *c, int ldc);
