// Haswell and later, all Zen: 16 registers of half a vector, of which 12 hold sums.
#if defined(__x86_64__)
#define SET avx2
#define SET_NAME "avx2"
#define HAS_FMA 1
#define MOST_ROWS 6
#define HAS_WIDE_TILES 0
#define FOR_HEIGHTS(m) m(1) m(2) m(3) m(4) m(5) m(6)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "set.h"
#pragma clang attribute pop
#endif
