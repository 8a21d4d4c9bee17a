// What the instruction sets' files share: the arguments of one reduction, and the table of kernels that each file fills.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "CKernels.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/// Streaming stores begin on a cache line, so that each fills whole lines.
#define CACHE_LINE_BYTES 64

/// The raw values of `ElementType`.
enum {
    TYPE_FLOAT32, TYPE_FLOAT64, TYPE_FLOAT16, TYPE_BFLOAT16, TYPE_INT8, TYPE_INT16, TYPE_INT32, TYPE_INT64, TYPE_UINT8, TYPE_UINT16,
    TYPE_UINT32, TYPE_UINT64, TYPE_COUNT,
};

/// The raw values of `ReductionOperation`. An average is a kernel of its own, so that a sum need not even ask whether to divide.
typedef enum { SUM, AVERAGE, PRODUCT, MINIMUM, MAXIMUM, OPERATION_COUNT } Operation;

/// One reduction; see `kernel_reduce`.
typedef struct {
    const char *const *sources;
    size_t source_count;
    char *const *destinations;
    size_t destination_count;
    size_t count;
    size_t divisor;
    bool streaming;
} KernelCall;

typedef void Kernel(const KernelCall *call);

struct KernelSet {
    const char *name;
    Kernel *kernels[TYPE_COUNT][OPERATION_COUNT];
    void (*copy_streaming)(char *to, const char *from, size_t byte_count);
};

#if defined(__x86_64__)
extern const KernelSet kernel_set_avx512, kernel_set_avx2;
#endif
extern const KernelSet kernel_set_baseline;

/// Elements to go until every destination is on a cache line; SIZE_MAX where stores should not or cannot stream: where a destination is
/// a source, whose lines the read has brought into the cache anyway, and where destinations lie differently within a line.
ALWAYS_INLINE size_t elements_before_streaming(
    const char *const *sources, size_t source_count, char *const *destinations, size_t destination_count, size_t element_bytes) {
    size_t lead = -(uintptr_t)destinations[0] % CACHE_LINE_BYTES;
    if (lead % element_bytes != 0) return SIZE_MAX;
    for (size_t d = 0; d < destination_count; d++) {
        if (-(uintptr_t)destinations[d] % CACHE_LINE_BYTES != lead) return SIZE_MAX;
        for (size_t s = 0; s < source_count; s++) {
            if (sources[s] == destinations[d]) return SIZE_MAX;
        }
    }
    return lead / element_bytes;
}

/// Orders streaming stores before what this thread stores next. Elsewhere than on x86 they are ordinary stores with a hint.
ALWAYS_INLINE void fence_streaming(void) {
#if defined(__x86_64__)
    __builtin_ia32_sfence();
#endif
}
