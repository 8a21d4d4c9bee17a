#include "CTiles.h"

#include "layout.h"

#if defined(__x86_64__)
extern const TileSet tile_set_avx512, tile_set_avx2;
#endif
extern const TileSet tile_set_baseline;

/// The sets of this processor, best first. Written once, by the constructor below, before there is a second thread.
static const TileSet *available[3] = {&tile_set_baseline};

#if defined(__x86_64__)
__attribute__((constructor)) static void find_sets(void) {
    size_t count = 0;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) available[count++] = &tile_set_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) available[count++] = &tile_set_avx2;
    available[count] = &tile_set_baseline;
}
#endif

size_t convolution_scratch(const ConvolutionShape *shape) {
    return input_image(shape) + gradient_image(shape) + packed_weights(shape);
}

size_t triangle_scratch(const TriangleShape *shape) {
    return larger(shape->columns * rounded_up(shape->size), shape->size * rounded_up(shape->columns));
}

const TileSet *tile_set_chosen(void) { return available[0]; }

const TileSet *tile_set_at(size_t index) { return index < sizeof available / sizeof *available ? available[index] : NULL; }
