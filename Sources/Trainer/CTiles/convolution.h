// Convolutions of NHWC images. Included by set.h.

/// An image into the middle of a larger one, whose borders are not touched.
static void pad_image(const float *image, size_t height, size_t row_floats, float *padded, size_t padded_row_floats) {
    for (size_t y = 0; y < height; y++) memcpy(padded + y * padded_row_floats, image + y * row_floats, row_floats * sizeof *padded);
}

/// The image with zeros around it: in scratch, unless it needs none.
static const float *padded_input(const ConvolutionShape *s, const float *image, float *scratch) {
    if (s->padding == 0) return image;
    size_t row = (s->width + 2 * s->padding) * s->in_channels;
    pad_image(image, s->height, s->width * s->in_channels, scratch + s->padding * (row + s->in_channels), row);
    return scratch;
}

static void forward(
    const ConvolutionShape *s, size_t batch, const float *inputs, const float *weights, const float *bias, bool is_rectified, float *outputs,
    float *scratch) {
    size_t high = output_size(s, s->height), wide = output_size(s, s->width);
    size_t input_row = (s->width + 2 * s->padding) * s->in_channels;
    size_t channels = s->out_channels, padded_channels = rounded_up(channels), rows = s->kernel * s->kernel * s->in_channels;
    float *packed = scratch + input_image(s), *packed_bias = scratch + input_image(s) + packed_weights(s);
    if (channels != padded_channels) {
        pack_rows(weights, rows, channels, packed, padded_channels);
        weights = packed;
        if (bias) {
            pack_rows(bias, 1, channels, packed_bias, padded_channels);
            bias = packed_bias;
        }
    }
    clear(scratch, input_image(s));
    for (size_t image = 0; image < batch; image++) {
        const float *padded = padded_input(s, inputs + image * s->height * s->width * s->in_channels, scratch);
        for (size_t channel = 0, block; channel < channels; channel += block) {
            block = block_channels(channels - channel);
            Pixels p = {
                .input_step = s->stride * s->in_channels, .run_step = input_row, .runs = s->kernel, .length = s->kernel * s->in_channels,
                .weights = weights + channel, .weight_step = padded_channels, .bias = bias ? bias + channel : NULL,
                .is_rectified = is_rectified, .output_step = channels, .channels = channels - channel};
            for (size_t y = 0; y < high; y++) {
                p.inputs = padded + y * s->stride * input_row;
                p.outputs = outputs + ((image * high + y) * wide) * channels + channel;
                run_pixels(p, wide, block);
            }
        }
    }
}

/// How many of 0 ..< count are `first`, `first + step`, ...
static size_t count_from(size_t first, size_t step, size_t count) { return first < count ? (count - first + step - 1) / step : 0; }

/// The weights of the taps (row + stride m, column + stride n), last tap first, each transposed: a row of in_channels for each output channel.
static void pack_taps(const ConvolutionShape *s, const float *weights, size_t row, size_t column, float *packed) {
    size_t inputs = s->in_channels, columns = rounded_up(inputs), outputs = s->out_channels;
    for (size_t m = count_from(row, s->stride, s->kernel); m-- > 0;) {
        for (size_t n = count_from(column, s->stride, s->kernel); n-- > 0;) {
            const float *tap = weights + ((row + m * s->stride) * s->kernel + column + n * s->stride) * inputs * outputs;
            for (size_t out = 0; out < outputs; out++, packed += columns) {
                for (size_t in = 0; in < inputs; in++) packed[in] = tap[in * outputs + out];
                clear(packed + inputs, columns - inputs);
            }
        }
    }
}

/// The inputs (y, x) with (y + padding) % stride = row and (x + padding) % stride = column, of one image: they have the same taps.
static void input_gradient_class(
    const ConvolutionShape *s, const float *padded, const float *packed, size_t row, size_t column, float *input_gradient) {
    size_t first_y = (row + s->stride - s->padding % s->stride) % s->stride, first_x = (column + s->stride - s->padding % s->stride) % s->stride;
    size_t taps_high = count_from(row, s->stride, s->kernel), taps_wide = count_from(column, s->stride, s->kernel);
    size_t gradient_row = padded_gradient(s, s->width) * s->out_channels, channels = s->in_channels;
    // The output that has the first input by the last tap.
    size_t from_y = gradient_padding(s) + (first_y + s->padding) / s->stride + 1 - taps_high;
    size_t from_x = gradient_padding(s) + (first_x + s->padding) / s->stride + 1 - taps_wide;
    size_t count = count_from(first_x, s->stride, s->width);
    for (size_t channel = 0, block; channel < channels; channel += block) {
        block = block_channels(channels - channel);
        Pixels p = {
            .input_step = s->out_channels, .run_step = gradient_row, .runs = taps_wide ? taps_high : 0, .length = taps_wide * s->out_channels,
            .weights = packed + channel, .weight_step = rounded_up(channels), .output_step = s->stride * channels,
            .channels = channels - channel};
        for (size_t y = first_y, from = from_y; y < s->height; y += s->stride, from++) {
            p.inputs = padded + from * gradient_row + from_x * s->out_channels;
            p.outputs = input_gradient + (y * s->width + first_x) * channels + channel;
            run_pixels(p, count, block);
        }
    }
}

static void input_gradient(
    const ConvolutionShape *s, size_t batch, const float *gradient, const float *weights, float *input_gradient, float *scratch) {
    size_t high = output_size(s, s->height), wide = output_size(s, s->width), before = gradient_padding(s);
    size_t gradient_row = padded_gradient(s, s->width) * s->out_channels;
    float *packed = scratch + gradient_image(s);
    clear(scratch, gradient_image(s));
    for (size_t row = 0; row < s->stride; row++) {
        for (size_t column = 0; column < s->stride; column++) {
            pack_taps(s, weights, row, column, packed);
            for (size_t image = 0; image < batch; image++) {
                pad_image(
                    gradient + image * high * wide * s->out_channels, high, wide * s->out_channels,
                    scratch + before * (gradient_row + s->out_channels), gradient_row);
                input_gradient_class(
                    s, scratch, packed, row, column, input_gradient + image * s->height * s->width * s->in_channels);
            }
        }
    }
}

static void weight_gradient(
    const ConvolutionShape *s, size_t batch, const float *inputs, const float *gradient, float *weight_gradient, float *scratch) {
    size_t high = output_size(s, s->height), wide = output_size(s, s->width);
    size_t input_row = (s->width + 2 * s->padding) * s->in_channels, run = s->kernel * s->in_channels;
    size_t channels = s->out_channels, padded_channels = rounded_up(channels);
    float *packed = scratch + input_image(s);
    if (batch == 0) clear(weight_gradient, s->kernel * run * channels);
    clear(scratch, input_image(s));
    for (size_t image = 0; image < batch; image++) {
        const float *padded = padded_input(s, inputs + image * s->height * s->width * s->in_channels, scratch);
        const float *slopes = gradient + image * high * wide * channels;
        if (channels != padded_channels) {
            pack_rows(slopes, high * wide, channels, packed, padded_channels);
            slopes = packed;
        }
        for (size_t channel = 0, block; channel < channels; channel += block) {
            block = block_channels(channels - channel);
            for (size_t kernel_row = 0; kernel_row < s->kernel; kernel_row++) {
                Outer o = {
                    .inputs = padded + kernel_row * input_row, .input_step = s->stride * s->in_channels,
                    .input_row_step = s->stride * input_row, .gradient = slopes + channel, .gradient_step = padded_channels,
                    .height = high, .width = wide, .outputs = weight_gradient + kernel_row * run * channels + channel,
                    .output_step = channels, .channels = channels - channel, .is_accumulating = image > 0};
                run_outer(o, run, block);
            }
        }
    }
}
