#include "CKernels.h"

#include <string.h>

#include "call.h"

/// The sets of this processor, best first. Written once, by the constructor below, before there is a second thread; until then the
/// baseline serves. A table rather than GNU ifunc, whose resolvers run before a sanitizer's runtime is up.
static const KernelSet *available[3] = {&kernel_set_baseline};

#if defined(__x86_64__)
__attribute__((constructor)) static void find_sets(void) {
    size_t count = 0;
    __builtin_cpu_init();
    bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
    if (has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl")) {
        available[count++] = &kernel_set_avx512;
    }
    if (has_avx2) available[count++] = &kernel_set_avx2;
    available[count] = &kernel_set_baseline;
}
#endif

const KernelSet *kernel_set_chosen(void) { return available[0]; }

const KernelSet *kernel_set_at(size_t index) { return index < sizeof available / sizeof *available ? available[index] : NULL; }

const char *kernel_set_name(const KernelSet *set) { return set->name; }

/// Element sizes, by type.
static const size_t element_bytes[TYPE_COUNT] = {
    [TYPE_FLOAT32] = 4, [TYPE_FLOAT64] = 8, [TYPE_FLOAT16] = 2, [TYPE_BFLOAT16] = 2, [TYPE_INT8] = 1,   [TYPE_INT16] = 2,
    [TYPE_INT32] = 4,   [TYPE_INT64] = 8,   [TYPE_UINT8] = 1,   [TYPE_UINT16] = 2,   [TYPE_UINT32] = 4, [TYPE_UINT64] = 8,
};

enum { TILE_BYTES = 8192, MOST_SOURCES = 64 };

/// The reduction tile by tile through a buffer that stays in the first cache, from where it is stored past the caches. Reading and
/// storing in turns, 8 KiB at a time, keeps the memory busy in one direction for long enough; line by line, streaming into lines that were
/// just read loses.
static void reduce_streaming(const KernelSet *set, Kernel *kernel, size_t size, const KernelCall *call) {
    char tile[TILE_BYTES] __attribute__((aligned(CACHE_LINE_BYTES)));
    char *into = tile;
    const char *sources[MOST_SOURCES];
    KernelCall part = *call;
    part.sources = sources;
    part.destinations = &into;
    part.destination_count = 1;
    for (size_t start = 0; start < call->count; start += part.count) {
        size_t left = call->count - start;
        part.count = left < TILE_BYTES / size ? left : TILE_BYTES / size;
        for (size_t s = 0; s < call->source_count; s++) sources[s] = call->sources[s] + start * size;
        kernel(&part);
        for (size_t d = 0; d < call->destination_count; d++) {
            set->copy_streaming(call->destinations[d] + start * size, tile, part.count * size);
        }
    }
    fence_streaming();
}

/// The exponent of the power of two that a rank's part of an average is divided by.
///
/// 2^exponent is at least the number of ranks: so no sum of parts is larger than the largest of them, but for roundings. Where sums are
/// computed in the range that they are stored in, it is twice as large, and so are no roundings enough for an infinity. A half is computed
/// in float, which has room; its small numbers are near, and lose no bit more than they must.
static int averaging_exponent(unsigned type, size_t ranks) {
    int exponent = 64 - __builtin_clzll(ranks - 1);
    return type == TYPE_FLOAT16 ? exponent : exponent + 1;
}

/// By its bits, because every call of a kernel asks for it. The exponent is that of a normal number.
static double power_of_two(int exponent) {
    uint64_t bits = (uint64_t)(1023 + exponent) << 52;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/// Says in the call what is to be done for an average, and chooses the kernel for it.
static Operation average(unsigned type, KernelAveraging averaging, KernelCall *call) {
    size_t ranks = averaging.ranks;
    if (ranks <= 1) return SUM;
    if (type >= TYPE_INT8) {
        call->divisor = ranks;
        return averaging.is_final ? AVERAGE : SUM;
    }
    int exponent = averaging_exponent(type, ranks);
    bool is_power_of_two = (ranks & (ranks - 1)) == 0;
    call->scale = power_of_two(-exponent);
    call->partials = averaging.partials;
    call->finish = is_power_of_two ? power_of_two(exponent) / (double)ranks : (double)ranks * call->scale;
    return !averaging.is_final ? PART : is_power_of_two ? MEAN : AVERAGE;
}

void kernel_reduce(
    const KernelSet *set, unsigned operation, unsigned type, const void *const *sources, size_t source_count, void *const *destinations,
    size_t destination_count, size_t count, KernelAveraging averaging, bool streaming) {
    KernelCall call = {
        .sources = (const char *const *)sources,
        .source_count = source_count,
        .destinations = (char *const *)destinations,
        .destination_count = destination_count,
        .count = count,
    };
    Kernel *kernel = set->kernels[type][operation == AVERAGE ? average(type, averaging, &call) : operation];
    if (streaming && source_count <= MOST_SOURCES) {
        reduce_streaming(set, kernel, element_bytes[type], &call);
    } else {
        kernel(&call);
    }
}

void kernel_combine(
    unsigned operation, unsigned type, const void *left, const void *right, void *into, size_t count, KernelAveraging averaging) {
    const void *sources[] = {left, right};
    kernel_reduce(kernel_set_chosen(), operation, type, sources, 2, &into, 1, count, averaging, false);
}

void kernel_encode(const KernelSet *set, unsigned format, const void *values, void *residual, void *encoded, size_t count) {
    set->encode[format](values, residual, encoded, count);
}

void kernel_decode(const KernelSet *set, unsigned format, const void *encoded, void *values, size_t count) {
    set->decode[format](encoded, values, count);
}

/// Bytes of so many encoded elements, whole blocks.
static size_t encoded_bytes(unsigned format, size_t count) {
    return format == WIRE_INT8 ? count / WIRE_BLOCK * (WIRE_BLOCK + sizeof(float)) : 2 * count;
}

void kernel_reduce_encoded(
    const KernelSet *set, unsigned operation, unsigned format, const void *own, const void *encoded, size_t stride, size_t encoded_count,
    void *into, size_t count, size_t ranks) {
    // What is decoded, and the sum so far, stay in the first cache.
    float decoded[TILE_BYTES / sizeof(float)] __attribute__((aligned(CACHE_LINE_BYTES)));
    for (size_t start = 0; start < count; start += TILE_BYTES / sizeof(float)) {
        size_t left = count - start, part = left < TILE_BYTES / sizeof(float) ? left : TILE_BYTES / sizeof(float);
        float *sum = (float *)into + start;
        const void *so_far = (const float *)own + start;
        for (size_t index = 0; index < encoded_count; index++) {
            set->decode[format]((const char *)encoded + index * stride + encoded_bytes(format, start), decoded, part);
            KernelAveraging averaging = {.ranks = ranks, .partials = index > 0, .is_final = index + 1 == encoded_count};
            const void *sources[] = {so_far, decoded};
            void *destination = sum;
            kernel_reduce(set, operation, TYPE_FLOAT32, sources, 2, &destination, 1, part, averaging, false);
            so_far = sum;
        }
    }
}

void kernel_copy(const KernelSet *set, void *to, const void *from, size_t byte_count, bool streaming) {
    if (streaming) {
        set->copy_streaming(to, from, byte_count);
        fence_streaming();
    } else {
        memcpy(to, from, byte_count);
    }
}
