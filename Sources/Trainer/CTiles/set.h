// Every product for one instruction set. Included by the set's own file, which says by macros
//   SET             its name
//   SET_NAME        the same as a text
//   HAS_FMA         whether it multiplies and adds in one rounding
//   MOST_ROWS       the height of the tallest tile
//   HAS_WIDE_TILES  whether tiles of two vectors fit into its registers as well
//   FOR_HEIGHTS(m)  m(1) to m(MOST_ROWS)
#include <string.h>

#include "CTiles.h"
#include "layout.h"

// Vectors wider than a register are arguments of inlined functions only, which have no calling convention.
#pragma clang diagnostic ignored "-Wpsabi"

// Where there is no fused multiplication and addition, none is made up.
#pragma STDC FP_CONTRACT OFF

#define MOST_SUMS (MOST_ROWS * 2)
#define PASTE(a, b) a##_##b
#define EXPAND(a, b) PASTE(a, b)

#include "tiles.h"

/// Rows of `source_columns` floats into rows of `columns`, of which the rest is 0.
static void pack_rows(const float *source, size_t rows, size_t source_columns, float *packed, size_t columns) {
    for (size_t row = 0; row < rows; row++) {
        memcpy(packed + row * columns, source + row * source_columns, source_columns * sizeof *packed);
        memset(packed + row * columns + source_columns, 0, (columns - source_columns) * sizeof *packed);
    }
}

static void clear(float *values, size_t count) { memset(values, 0, count * sizeof *values); }

#include "convolution.h"
#include "triangle.h"

const TileSet EXPAND(tile_set, SET) = {
    .name = SET_NAME, .forward = forward, .input_gradient = input_gradient, .weight_gradient = weight_gradient,
    .lower_of_product = lower_of_product, .lower_times = lower_times, .lower_transposed_times = lower_transposed_times};
