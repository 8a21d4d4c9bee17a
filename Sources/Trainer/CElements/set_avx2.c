// Haswell and later, all Zen.
#if defined(__x86_64__)
#define SET avx2
#define SET_NAME "avx2"
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#include "set.h"
#pragma clang attribute pop
#endif
