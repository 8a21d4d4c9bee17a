// Haswell and later, all Zen.
#if defined(__x86_64__)
#define SET avx2
#define SET_NAME "avx2"
#define VECTOR_BYTES 32
#define HAS_FLOAT16 1
#pragma clang attribute push(__attribute__((target("avx2,f16c"))), apply_to = function)
#include "set.h"
#pragma clang attribute pop
#endif
