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

/// The raw values of `ReductionOperation`, and two that an average of floating-point numbers takes in place of its own: PART leaves a partial
/// sum of scaled parts; MEAN is final and multiplies by a power of two, where AVERAGE divides. Each is a kernel of its own, so that none
/// has to ask.
typedef enum { SUM, AVERAGE, PRODUCT, MINIMUM, MAXIMUM, PART, MEAN, OPERATION_COUNT } Operation;

/// The raw values of `WireFormat`; plain elements are copied by nobody. And its `blockElements`.
enum { WIRE_PLAIN, WIRE_BFLOAT16, WIRE_FLOAT16, WIRE_INT8, WIRE_COUNT, WIRE_BLOCK = 256 };

/// One reduction; see `kernel_reduce`.
typedef struct {
    const char *const *sources;
    size_t source_count;
    char *const *destinations;
    size_t destination_count;
    size_t count;
    /// What a wrapped sum of integers is divided by.
    size_t divisor;
    /// Floating-point averages: what a rank's own part is multiplied by, a power of two; which sources are partial sums of such, and are
    /// not; and what the sum is divided (AVERAGE) or multiplied (MEAN) by in the end.
    double scale;
    uint64_t partials;
    double finish;
} KernelCall;

typedef void Kernel(const KernelCall *call);
/// See `kernel_encode` and `kernel_decode`.
typedef void Encoder(const float *values, float *residual, char *encoded, size_t count);
typedef void Decoder(const char *encoded, float *values, size_t count);

struct KernelSet {
    const char *name;
    Kernel *kernels[TYPE_COUNT][OPERATION_COUNT];
    Encoder *encode[WIRE_COUNT];
    Decoder *decode[WIRE_COUNT];
    void (*copy_streaming)(char *to, const char *from, size_t byte_count);
};

#if defined(__x86_64__)
extern const KernelSet kernel_set_avx512, kernel_set_avx2;
#endif
extern const KernelSet kernel_set_baseline;

/// Orders streaming stores before what this thread stores next. Elsewhere than on x86 they are ordinary stores with a hint.
ALWAYS_INLINE void fence_streaming(void) {
#if defined(__x86_64__)
    __builtin_ia32_sfence();
#endif
}
