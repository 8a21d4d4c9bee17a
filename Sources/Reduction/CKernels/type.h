// The kernels of one type. Included by set.h, which says by macros
//   TYPE      its name                       STORED    what lies in memory
//   FORMAT    how that is read               COMPUTED  what is computed in
//   BITS      COMPUTED's unsigned twin       QUOTIENT  where integers are divided, if not in their own type
//   CANONICAL_NAN   the bits of the only NaN that is ever stored, in COMPUTED
//   LARGEST         the largest number that can be stored, in COMPUTED

#define PASTE4(a, b, c, d) a##_##b##_##c##_##d
#define EXPAND4(a, b, c, d) PASTE4(a, b, c, d)
#define NAMED(name) EXPAND4(SET, TYPE, WIDTH, name)
#define KERNEL(name) EXPAND4(SET, TYPE, kernel, name)

#define VECTOR_LANES (VECTOR_BYTES / sizeof(COMPUTED))
/// A block is as many vectors as keep the loads ahead of the arithmetic and still fit the registers.
#define BLOCK_VECTORS 4
#define BLOCK_LANES (BLOCK_VECTORS * VECTOR_LANES)

#define WIDTH vector
#define LANES VECTOR_LANES
#include "width.h"

#define WIDTH element
#define LANES 1
#include "width.h"

#define STEP(width, vectors) \
    EXPAND4(SET, TYPE, width, step)(operation, sources, source_count, destinations, destination_count, call, index, vectors)

/// What is constant among the arguments unrolls the loops over sources and destinations.
ALWAYS_INLINE void KERNEL(run)(
    Operation operation, const char *const *sources, size_t source_count, char *const *destinations, size_t destination_count,
    const KernelCall *call) {
    size_t index = 0, count = call->count;
    for (; count - index >= BLOCK_LANES; index += BLOCK_LANES) STEP(vector, BLOCK_VECTORS);
    for (; count - index >= VECTOR_LANES; index += VECTOR_LANES) STEP(vector, 1);
#pragma clang loop vectorize(disable) unroll(disable)
    for (; index < count; index++) STEP(element, 1);
}

/// Two sources are the ring's step, and two destinations a machine of two ranks: there the pointers of gradients stay in registers.
/// Integers are seldom exchanged in bulk, and do without, for the code's size.
ALWAYS_INLINE void KERNEL(specialize)(Operation operation, const KernelCall *call) {
#if FORMAT != FORMAT_INTEGER
    if (call->source_count == 2 && call->destination_count <= 2) {
        const char *sources[] = {call->sources[0], call->sources[1]};
        char *destinations[] = {call->destinations[0], call->destinations[call->destination_count - 1]};
        if (call->destination_count == 1) {
            KERNEL(run)(operation, sources, 2, destinations, 1, call);
        } else {
            KERNEL(run)(operation, sources, 2, destinations, 2, call);
        }
        return;
    }
#endif
    KERNEL(run)(operation, call->sources, call->source_count, call->destinations, call->destination_count, call);
}

static void KERNEL(sum)(const KernelCall *call) { KERNEL(specialize)(SUM, call); }
static void KERNEL(average)(const KernelCall *call) { KERNEL(specialize)(AVERAGE, call); }
static void KERNEL(product)(const KernelCall *call) { KERNEL(specialize)(PRODUCT, call); }
static void KERNEL(minimum)(const KernelCall *call) { KERNEL(specialize)(MINIMUM, call); }
static void KERNEL(maximum)(const KernelCall *call) { KERNEL(specialize)(MAXIMUM, call); }
#if FORMAT != FORMAT_INTEGER
static void KERNEL(part)(const KernelCall *call) { KERNEL(specialize)(PART, call); }
static void KERNEL(mean)(const KernelCall *call) { KERNEL(specialize)(MEAN, call); }
#else
// Nobody asks for them: see `average`.
static void KERNEL(part)(const KernelCall *call) { KERNEL(sum)(call); }
static void KERNEL(mean)(const KernelCall *call) { KERNEL(average)(call); }
#endif

#undef STEP
#undef TYPE
#undef FORMAT
#undef STORED
#undef COMPUTED
#undef BITS
#undef QUOTIENT
#undef CANONICAL_NAN
#undef LARGEST
