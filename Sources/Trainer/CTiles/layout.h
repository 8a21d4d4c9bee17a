// Where a convolution's parts lie in the scratch memory.
#pragma once

#include "CTiles.h"

/// Vectors have as many floats; channels that are written by vectors are padded to a multiple.
enum { LANES = 16 };

static inline size_t larger(size_t a, size_t b) { return a > b ? a : b; }
static inline size_t rounded_up(size_t channels) { return (channels + LANES - 1) / LANES * LANES; }
static inline size_t output_size(const ConvolutionShape *shape, size_t size) {
    return (size + 2 * shape->padding - shape->kernel) / shape->stride + 1;
}

/// Zeros before the output's gradient, so that each input finds each output that it had a part in, if only as a 0.
static inline size_t gradient_padding(const ConvolutionShape *shape) { return (shape->kernel - 1) / shape->stride; }
/// The padded size of the output's gradient, along an axis of `size` inputs.
static inline size_t padded_gradient(const ConvolutionShape *shape, size_t size) {
    return gradient_padding(shape) + larger(output_size(shape, size), (size - 1 + shape->padding) / shape->stride + 1);
}

/// One padded image of the inputs.
static inline size_t input_image(const ConvolutionShape *shape) {
    return (shape->height + 2 * shape->padding) * (shape->width + 2 * shape->padding) * shape->in_channels;
}
/// One image of the output's gradient, with zeros around it or with padded channels.
static inline size_t gradient_image(const ConvolutionShape *shape) {
    return padded_gradient(shape, shape->height) * padded_gradient(shape, shape->width) * rounded_up(shape->out_channels);
}
/// The weights as one of the products wants them.
static inline size_t packed_weights(const ConvolutionShape *shape) {
    size_t taps = shape->kernel * shape->kernel;
    return larger(
        taps * shape->in_channels * rounded_up(shape->out_channels), taps * shape->out_channels * rounded_up(shape->in_channels));
}
