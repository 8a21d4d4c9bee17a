#include "CElements.h"

#if defined(__x86_64__)
extern const ElementSet element_set_avx512, element_set_avx2;
#endif
extern const ElementSet element_set_baseline;

/// The sets of this processor, best first. Written once, by the constructor below, before there is a second thread. A table rather than GNU ifunc, whose
/// resolvers run before a sanitizer's runtime is up.
static const ElementSet *available[3] = {&element_set_baseline};

#if defined(__x86_64__)
__attribute__((constructor)) static void find_sets(void) {
    size_t count = 0;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl")) {
        available[count++] = &element_set_avx512;
    }
    if (__builtin_cpu_supports("avx2")) available[count++] = &element_set_avx2;
    available[count] = &element_set_baseline;
}
#endif

const ElementSet *element_set_chosen(void) { return available[0]; }

const ElementSet *element_set_at(size_t index) { return index < sizeof available / sizeof *available ? available[index] : NULL; }
