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

void kernel_reduce(
    const KernelSet *set, unsigned operation, unsigned type, const void *const *sources, size_t source_count, void *const *destinations,
    size_t destination_count, size_t count, size_t divisor, bool streaming) {
    KernelCall call = {
        .sources = (const char *const *)sources,
        .source_count = source_count,
        .destinations = (char *const *)destinations,
        .destination_count = destination_count,
        .count = count,
        .divisor = divisor,
        .streaming = streaming,
    };
    // An average that is not yet to be divided is a sum.
    set->kernels[type][operation == AVERAGE && divisor <= 1 ? SUM : operation](&call);
}

void kernel_combine(
    unsigned operation, unsigned type, const void *left, const void *right, void *into, size_t count, size_t divisor) {
    const void *sources[] = {left, right};
    kernel_reduce(kernel_set_chosen(), operation, type, sources, 2, &into, 1, count, divisor, false);
}

void kernel_copy(const KernelSet *set, void *to, const void *from, size_t byte_count, bool streaming) {
    if (streaming) {
        set->copy_streaming(to, from, byte_count);
    } else {
        memcpy(to, from, byte_count);
    }
}
