// What every processor of the architecture has: 16 registers of a quarter of a vector, of which 8 hold sums.
#define SET baseline
#define SET_NAME "baseline"
#define HAS_FMA 0
#define MOST_ROWS 2
#define HAS_WIDE_TILES 0
#define FOR_HEIGHTS(m) m(1) m(2)
#include "set.h"
