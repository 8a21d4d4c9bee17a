// Products whose sums stay in registers, on the calling thread, compiled for each instruction set: convolutions of NHWC images, and products with
// triangles, of which causal attention consists. Only Trainer imports this.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#pragma clang assume_nonnull begin

/// Images of height x width x in_channels become (height + 2 padding - kernel) / stride + 1 high, as wide by the same rule, and out_channels deep.
/// Weights: kernel * kernel * in_channels rows (kernel row, kernel column, channel) of out_channels.
typedef struct {
    size_t height, width, in_channels, out_channels, kernel, stride, padding;
} ConvolutionShape;

/// Rows of floats, `stride` floats from one's beginning to the next one's.
typedef struct {
    const float *values;
    size_t stride;
} Rows;

typedef struct {
    float *values;
    size_t stride;
} MutableRows;

/// A dense triangle of size x size; the other matrices have as many rows, of `columns` floats.
typedef struct {
    size_t size, columns;
} TriangleShape;

/// The products, compiled for one instruction set. Arrays are dense and row-major unless they are Rows, need no alignment and do not overlap. `scratch`
/// has `convolution_scratch` or `triangle_scratch` floats, and needs no content. Sums have one order; sets with fused multiplication and addition ("avx512", "avx2") give the same bits,
/// "baseline" differs in the last ones.
typedef struct {
    const char *name;
    /// outputs = convolution of the inputs + bias (none where it is null), and of that max(x, 0) where it is rectified.
    void (*forward)(
        const ConvolutionShape *shape, size_t batch, const float *inputs, const float *weights, const float *_Nullable bias,
        bool is_rectified, float *outputs, float *scratch);
    /// The gradient by the inputs.
    void (*input_gradient)(
        const ConvolutionShape *shape, size_t batch, const float *gradient, const float *weights, float *input_gradient, float *scratch);
    /// The gradient by the weights, summed over the batch; zeros for a batch of none.
    void (*weight_gradient)(
        const ConvolutionShape *shape, size_t batch, const float *inputs, const float *gradient, float *weight_gradient, float *scratch);

    /// lower = the lower triangle, with the diagonal, of left x right transposed; what is above it may be anything.
    void (*lower_of_product)(const TriangleShape *shape, Rows left, Rows right, float *lower, float *scratch);
    /// result = lower x right, where lower is 0 above its diagonal.
    void (*lower_times)(const TriangleShape *shape, const float *lower, Rows right, MutableRows result, float *scratch);
    /// result = lower transposed x right.
    void (*lower_transposed_times)(const TriangleShape *shape, const float *lower, Rows right, MutableRows result, float *scratch);
} TileSet;

/// How many floats of scratch each product may need.
size_t convolution_scratch(const ConvolutionShape *shape);

size_t triangle_scratch(const TriangleShape *shape);

/// The best set that this processor has; chosen before `main`, the same for the life of the process.
const TileSet *tile_set_chosen(void);

/// The sets that this processor has, best first; null past the last.
const TileSet *_Nullable tile_set_at(size_t index);

#pragma clang assume_nonnull end
