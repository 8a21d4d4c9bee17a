// Element kernels: dense arrays in, dense arrays out. No allocation, no alignment wanted, no state but the set chosen at start-up.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Every kernel, compiled for one instruction set. The sets differ in speed only: each gives the same bits.
typedef struct KernelSet KernelSet;

/// The best set that this processor has; chosen before `main`, the same for the life of the process.
const KernelSet *_Nonnull kernel_set_chosen(void);

/// The sets that this processor has, best first; null past the last.
const KernelSet *_Nullable kernel_set_at(size_t index);

/// "avx512", "avx2", "sse2", "neon" or "portable".
const char *_Nonnull kernel_set_name(const KernelSet *_Nonnull set);

/// What a fold does towards an average over `ranks`; of one rank it is a sum. Bit i of `partials` says that source i is the result of such a
/// fold that was not final; sources beyond the 64th are none. See Reduction's `Averaging`.
typedef struct {
    size_t ranks;
    uint64_t partials;
    bool is_final;
} KernelAveraging;

/// Folds `count` elements of each source, left to right, and stores the result into each destination.
/// `operation` and `type` are the raw values of Reduction's `ReductionOperation` and `ElementType`. Only an average looks at `averaging`.
/// A destination is the very address of a source, or overlaps none. Where `streaming`, stores go past the caches, and a fence
/// behind them orders them before what the caller stores next.
void kernel_reduce(
    const KernelSet *_Nonnull set, unsigned operation, unsigned type, const void *_Nonnull const *_Nonnull sources, size_t source_count,
    void *_Nonnull const *_Nonnull destinations, size_t destination_count, size_t count, KernelAveraging averaging, bool streaming);

/// `kernel_reduce` of two sources into one destination by the chosen set.
void kernel_combine(
    unsigned operation, unsigned type, const void *_Nonnull left, const void *_Nonnull right, void *_Nonnull into, size_t count,
    KernelAveraging averaging);

/// Encodes `count` floats in a wire format, a raw value of Reduction's `WireFormat` other than plain. Where there is a residual, it is added
/// first, and what the encoding has lost is left there. `values` and `encoded` do not overlap.
void kernel_encode(
    const KernelSet *_Nonnull set, unsigned format, const void *_Nonnull values, void *_Nullable residual, void *_Nonnull encoded,
    size_t count);

/// What `kernel_encode` has made, as floats.
void kernel_decode(const KernelSet *_Nonnull set, unsigned format, const void *_Nonnull encoded, void *_Nonnull values, size_t count);

/// Folds own floats, then `encoded_count` encoded arrays of as many, each `stride` bytes behind the one before. An average is one over so many `ranks`. `into` may be
/// `own`; with no encoded arrays nothing happens.
void kernel_reduce_encoded(
    const KernelSet *_Nonnull set, unsigned operation, unsigned format, const void *_Nonnull own, const void *_Nonnull encoded,
    size_t stride, size_t encoded_count, void *_Nonnull into, size_t count, size_t ranks);

/// Has the caches fetch this memory, which need not exist. Nothing is read.
static inline void kernel_prefetch(const void *_Nullable start, size_t byte_count) {
    for (size_t offset = 0; offset < byte_count; offset += 64) __builtin_prefetch((const char *)start + offset);
}

/// `memcpy`, past the caches where `streaming`.
void kernel_copy(const KernelSet *_Nonnull set, void *_Nonnull to, const void *_Nonnull from, size_t byte_count, bool streaming);
