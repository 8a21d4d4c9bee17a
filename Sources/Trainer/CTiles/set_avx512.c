// Skylake-X and later, Zen 4 and later: 32 registers, of which 28 hold sums.
#if defined(__x86_64__)
#define SET avx512
#define SET_NAME "avx512"
#define HAS_FMA 1
#define MOST_ROWS 14
#define HAS_WIDE_TILES 1
#define FOR_HEIGHTS(m) m(1) m(2) m(3) m(4) m(5) m(6) m(7) m(8) m(9) m(10) m(11) m(12) m(13) m(14)
#pragma clang attribute push(__attribute__((target("avx512f,fma"))), apply_to = function)
#include "set.h"
#pragma clang attribute pop
#endif
