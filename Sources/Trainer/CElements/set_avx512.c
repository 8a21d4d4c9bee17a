// Skylake-X and later, Zen 4 and later.
#if defined(__x86_64__)
#define SET avx512
#define SET_NAME "avx512"
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#include "set.h"
#pragma clang attribute pop
#endif
