// The tiles that the products are made of: some rows of one or two vectors, whose sums stay in registers. Included by set.h.

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("clang loop unroll(full)")

typedef float Lanes __attribute__((ext_vector_type(16)));
/// Anywhere in memory.
typedef Lanes AnyLanes __attribute__((aligned(4), may_alias));

ALWAYS_INLINE Lanes load(const float *values) { return *(const AnyLanes *)values; }

#if HAS_FMA
/// One rounding, so that AVX2 and AVX-512 give the same bits.
ALWAYS_INLINE Lanes multiply_add(float x, Lanes y, Lanes sum) { return __builtin_elementwise_fma((Lanes)x, y, sum); }
#else
ALWAYS_INLINE Lanes multiply_add(float x, Lanes y, Lanes sum) { return x * y + sum; }
#endif

/// Pixels of one output row times weights. A pixel is the sum, over `runs` runs of `length` inputs that lie together, of each input times its row of
/// weights; the rows follow each other through all runs.
typedef struct {
    const float *inputs;
    /// From a pixel's inputs to the next pixel's, and from a run to the next.
    size_t input_step, run_step;
    size_t runs, length;
    const float *weights;
    size_t weight_step;
    /// Where the sums begin, a row of vectors; NULL for 0.
    const float *bias;
    bool is_rectified;
    float *outputs;
    size_t output_step;
    /// Channels that are stored, at most as many as the vectors have.
    size_t channels;
} Pixels;

ALWAYS_INLINE void store_channels(float *outputs, Lanes sum, size_t channels) {
    if (channels >= LANES) {
        *(AnyLanes *)outputs = sum;
    } else {
        memcpy(outputs, &sum, channels * sizeof *outputs);
    }
}

ALWAYS_INLINE void pixels_tile(const Pixels *p, size_t rows, size_t vectors) {
    Lanes sums[MOST_SUMS];
    UNROLLED for (size_t row = 0; row < rows; row++) {
        UNROLLED for (size_t v = 0; v < vectors; v++) sums[row * vectors + v] = p->bias ? load(p->bias + v * LANES) : (Lanes)0;
    }
    const float *weights = p->weights;
    size_t input_step = p->input_step, weight_step = p->weight_step, length = p->length;
    for (size_t run = 0; run < p->runs; run++) {
        const float *inputs = p->inputs + run * p->run_step;
        for (size_t i = 0; i < length; i++, weights += weight_step) {
            Lanes some[2];
            UNROLLED for (size_t v = 0; v < vectors; v++) some[v] = load(weights + v * LANES);
            UNROLLED for (size_t row = 0; row < rows; row++) {
                float input = inputs[row * input_step + i];
                UNROLLED for (size_t v = 0; v < vectors; v++) {
                    sums[row * vectors + v] = multiply_add(input, some[v], sums[row * vectors + v]);
                }
            }
        }
    }
    UNROLLED for (size_t row = 0; row < rows; row++) {
        UNROLLED for (size_t v = 0; v < vectors; v++) {
            Lanes sum = sums[row * vectors + v];
            if (p->is_rectified) sum = sum < 0 ? (Lanes)0 : sum;
            store_channels(p->outputs + row * p->output_step + v * LANES, sum, p->channels - v * LANES);
        }
    }
}

/// Rows of the weights' gradient: over the pixels of an image, the sum of `rows` inputs that lie together, each times the pixel's gradient.
typedef struct {
    const float *inputs;
    /// From an output pixel's inputs to those of the next in its row, and from its row's to the next row's.
    size_t input_step, input_row_step;
    const float *gradient;
    size_t gradient_step;
    size_t height, width;
    float *outputs;
    size_t output_step;
    size_t channels;
    /// Whether to add to what is there.
    bool is_accumulating;
} Outer;

ALWAYS_INLINE void outer_tile(const Outer *o, size_t rows, size_t vectors) {
    Lanes sums[MOST_SUMS];
    UNROLLED for (size_t i = 0; i < rows * vectors; i++) sums[i] = 0;
    const float *gradient = o->gradient;
    size_t input_step = o->input_step, gradient_step = o->gradient_step, width = o->width;
    for (size_t y = 0; y < o->height; y++) {
        const float *inputs = o->inputs + y * o->input_row_step;
        for (size_t x = 0; x < width; x++, inputs += input_step, gradient += gradient_step) {
            Lanes some[2];
            UNROLLED for (size_t v = 0; v < vectors; v++) some[v] = load(gradient + v * LANES);
            UNROLLED for (size_t row = 0; row < rows; row++) {
                UNROLLED for (size_t v = 0; v < vectors; v++) {
                    sums[row * vectors + v] = multiply_add(inputs[row], some[v], sums[row * vectors + v]);
                }
            }
        }
    }
    UNROLLED for (size_t row = 0; row < rows; row++) {
        UNROLLED for (size_t v = 0; v < vectors; v++) {
            float *place = o->outputs + row * o->output_step + v * LANES;
            size_t channels = o->channels - v * LANES;
            Lanes before = 0, sum = sums[row * vectors + v];
            if (o->is_accumulating) memcpy(&before, place, (channels < LANES ? channels : LANES) * sizeof *place);
            store_channels(place, before + sum, channels);
        }
    }
}

/// Every height of tile, with one vector and with two.
#define TILE(rows)                                                                                  \
    static void pixels_##rows##x1(const Pixels *p) { pixels_tile(p, rows, 1); }                     \
    static void outer_##rows##x1(const Outer *o) { outer_tile(o, rows, 1); }
#define WIDE_TILE(rows)                                                                             \
    static void pixels_##rows##x2(const Pixels *p) { pixels_tile(p, rows, 2); }                     \
    static void outer_##rows##x2(const Outer *o) { outer_tile(o, rows, 2); }
#define PIXELS(rows) pixels_##rows##x1,
#define WIDE_PIXELS(rows) pixels_##rows##x2,
#define OUTER(rows) outer_##rows##x1,
#define WIDE_OUTER(rows) outer_##rows##x2,

FOR_HEIGHTS(TILE)
static void (*const pixels_tiles[])(const Pixels *) = {FOR_HEIGHTS(PIXELS)};
static void (*const outer_tiles[])(const Outer *) = {FOR_HEIGHTS(OUTER)};
#if HAS_WIDE_TILES
FOR_HEIGHTS(WIDE_TILE)
static void (*const wide_pixels_tiles[])(const Pixels *) = {FOR_HEIGHTS(WIDE_PIXELS)};
static void (*const wide_outer_tiles[])(const Outer *) = {FOR_HEIGHTS(WIDE_OUTER)};
#endif

/// Channels of the next block: two vectors where the registers hold tiles of them, and there are as many.
static size_t block_channels(size_t channels) { return HAS_WIDE_TILES && channels > LANES ? 2 * LANES : LANES; }

/// Tiles of about one height for `count` rows: how many of them are left, and with it the height of the next.
static size_t next_height(size_t count) { return count / ((count + MOST_ROWS - 1) / MOST_ROWS); }

static void run_pixels(Pixels p, size_t count, size_t block) {
    while (count > 0) {
        size_t rows = next_height(count);
#if HAS_WIDE_TILES
        if (block > LANES) {
            wide_pixels_tiles[rows - 1](&p);
        } else
#endif
            pixels_tiles[rows - 1](&p);
        p.inputs += rows * p.input_step;
        p.outputs += rows * p.output_step;
        count -= rows;
    }
    (void)block;
}

static void run_outer(Outer o, size_t count, size_t block) {
    while (count > 0) {
        size_t rows = next_height(count);
#if HAS_WIDE_TILES
        if (block > LANES) {
            wide_outer_tiles[rows - 1](&o);
        } else
#endif
            outer_tiles[rows - 1](&o);
        o.inputs += rows;
        o.outputs += rows * o.output_step;
        count -= rows;
    }
    (void)block;
}
