#include "CConvolution.h"

#include "layout.h"

#if defined(__x86_64__)
extern const ConvolutionSet convolution_set_avx512, convolution_set_avx2;
#endif
extern const ConvolutionSet convolution_set_baseline;

/// The sets of this processor, best first. Written once, by the constructor below, before there is a second thread.
static const ConvolutionSet *available[3] = {&convolution_set_baseline};

#if defined(__x86_64__)
__attribute__((constructor)) static void find_sets(void) {
    size_t count = 0;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) available[count++] = &convolution_set_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) available[count++] = &convolution_set_avx2;
    available[count] = &convolution_set_baseline;
}
#endif

size_t convolution_scratch(const ConvolutionShape *shape) {
    return input_image(shape) + gradient_image(shape) + packed_weights(shape);
}

const ConvolutionSet *convolution_set_chosen(void) { return available[0]; }

const ConvolutionSet *convolution_set_at(size_t index) { return index < sizeof available / sizeof *available ? available[index] : NULL; }
