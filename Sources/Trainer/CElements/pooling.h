// Pooling of NHWC images, without padding. Included by set.h.

ALWAYS_INLINE size_t pooled(size_t size, size_t window, size_t stride) { return (size - window) / stride + 1; }

/// Runs the statement for each window of each image: `from` is where the window begins in the input, `to` where its place in the output begins.
#define FOR_WINDOWS(shape, from, to, ...)                                                                           \
    do {                                                                                                            \
        size_t high = pooled(shape->height, shape->window_height, shape->stride), to = 0;                           \
        size_t wide = pooled(shape->width, shape->window_width, shape->stride);                                     \
        for (size_t image = 0; image < shape->batch; image++) {                                                     \
            for (size_t y = 0; y < high; y++) {                                                                     \
                for (size_t x = 0; x < wide; x++, to += shape->channels) {                                          \
                    size_t from = (image * shape->height + y * shape->stride) * shape->width + x * shape->stride;   \
                    from *= shape->channels;                                                                        \
                    __VA_ARGS__;                                                                                    \
                }                                                                                                   \
            }                                                                                                       \
        }                                                                                                           \
    } while (0)

/// The distance of a window's cell, which counts row by row, from the window's beginning.
ALWAYS_INLINE size_t cell_offset(const ElementPooling *shape, size_t cell) {
    return (cell / shape->window_width * shape->width + cell % shape->window_width) * shape->channels;
}

typedef uint8_t LaneBytes __attribute__((ext_vector_type(16)));

ALWAYS_INLINE void largest_in_window(const ElementPooling *shape, const float *inputs, float *outputs, uint8_t *choices, size_t n) {
    size_t cells = shape->window_height * shape->window_width;
    Lanes best = load(inputs, n);
    LaneBits choice = 0;
    for (size_t cell = 1; cell < cells; cell++) {
        Lanes some = load(inputs + cell_offset(shape, cell), n);
        // NaN wins, and stays.
        LaneBits is_better = (some > best) | (some != some);
        best = is_better ? some : best;
        choice = is_better ? (LaneBits)(int32_t)cell : choice;
    }
    store(outputs, best, n);
    LaneBytes bytes = __builtin_convertvector(choice, LaneBytes);
    memcpy(choices, &bytes, n);
}

static void pool_largest(const ElementPooling *shape, const float *inputs, float *outputs, uint8_t *choices) {
    FOR_WINDOWS(shape, from, to,
                FOR_LANES(c, n, shape->channels,
                          largest_in_window(shape, inputs + from + c, outputs + to + c, choices + to + c, n)));
}

static void pool_largest_gradient(const ElementPooling *shape, const float *gradient, const uint8_t *choices, float *input_gradient) {
    memset(input_gradient, 0, shape->batch * shape->height * shape->width * shape->channels * sizeof *input_gradient);
    size_t cells = shape->window_height * shape->window_width;
    FOR_WINDOWS(shape, from, to,
                FOR_LANES(c, n, shape->channels, Lanes slope = load(gradient + to + c, n); LaneBytes bytes = 0;
                          memcpy(&bytes, choices + to + c, n);
                          LaneBits choice = __builtin_convertvector(bytes, LaneBits);
                          for (size_t cell = 0; cell < cells; cell++) {
                              float *target = input_gradient + from + cell_offset(shape, cell) + c;
                              Lanes part = choice == (int32_t)cell ? slope : (Lanes)0;
                              store(target, load(target, n) + part, n);
                          }));
}

static void pool_mean(const ElementPooling *shape, const float *inputs, float *outputs) {
    size_t cells = shape->window_height * shape->window_width;
    float factor = 1 / (float)cells;
    FOR_WINDOWS(shape, from, to,
                FOR_LANES(c, n, shape->channels, Lanes sum = 0;
                          for (size_t cell = 0; cell < cells; cell++) sum += load(inputs + from + cell_offset(shape, cell) + c, n);
                          store(outputs + to + c, sum * factor, n)));
}

static void pool_mean_gradient(const ElementPooling *shape, const float *gradient, float *input_gradient) {
    memset(input_gradient, 0, shape->batch * shape->height * shape->width * shape->channels * sizeof *input_gradient);
    size_t cells = shape->window_height * shape->window_width;
    float factor = 1 / (float)cells;
    FOR_WINDOWS(shape, from, to,
                FOR_LANES(c, n, shape->channels, Lanes part = load(gradient + to + c, n) * factor;
                          for (size_t cell = 0; cell < cells; cell++) {
                              float *target = input_gradient + from + cell_offset(shape, cell) + c;
                              store(target, load(target, n) + part, n);
                          }));
}

#undef FOR_WINDOWS
