#include "COpenBLAS.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

extern char **environ;

BLASProcessor blas_processor(void) {
    BLASProcessor processor = {0};
#if defined(__x86_64__)
    unsigned eax, ebx, ecx, edx;
    if (__get_cpuid(0, &eax, &ebx, &ecx, &edx)) {
        memcpy(processor.vendor, &ebx, 4);
        memcpy(processor.vendor + 4, &edx, 4);
        memcpy(processor.vendor + 8, &ecx, 4);
    }
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) {
        unsigned family = eax >> 8 & 0xf;
        processor.family = family == 0xf ? family + (eax >> 20 & 0xff) : family;
        processor.model = (eax >> 4 & 0xf) | (eax >> 12 & 0xf0);
    }
    __builtin_cpu_init();
    processor.has_avx = __builtin_cpu_supports("avx");
    processor.has_avx2_and_fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    processor.has_avx512 = processor.has_avx2_and_fma && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd")
        && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return processor;
}

static const char *const library_names[] = {"libopenblas.so.0", "libopenblas.so"};

static void *open_library(int flags) {
    void *library = NULL;
    for (size_t i = 0; !library && i < sizeof library_names / sizeof *library_names; i++) library = dlopen(library_names[i], flags);
    return library;
}

/// The environment with other variables in front; the first of a name counts. NULL where memory is short.
static char **environment_with(char **front, size_t front_count) {
    size_t count = 0;
    while (environ && environ[count]) count++;
    char **variables = malloc((front_count + count + 1) * sizeof *variables);
    if (!variables) return NULL;
    memcpy(variables, front, front_count * sizeof *variables);
    if (count > 0) memcpy(variables + front_count, environ, count * sizeof *variables);
    variables[front_count + count] = NULL;
    return variables;
}

/// The library, loaded under the variables that `blas_load` promises.
///
/// Another environment is put in the place of the process's for as long as the loader runs, instead of setenv and unsetenv: those move memory
/// that another thread may just be reading. For the same reason the stand-in is never freed; it is some kilobytes, once a process.
static void *load(const char *core_type) {
    static char core_type_variable[64], threads_variable[] = "OPENBLAS_NUM_THREADS=1";
    char *front[] = {threads_variable, core_type_variable};
    if (core_type) snprintf(core_type_variable, sizeof core_type_variable, "OPENBLAS_CORETYPE=%s", core_type);
    char **own = environ, **stand_in = environment_with(front, core_type ? 2 : 1);
    if (stand_in) environ = stand_in;
    void *library = open_library(RTLD_NOW | RTLD_LOCAL);
    environ = own;
    return library;
}

static void (*sgemm)(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
static void (*set_num_threads)(int);
static int (*get_num_threads)(void);
static char *(*get_corename)(void);
static char *(*get_config)(void);

const char *blas_load(const char *core_type, BLASLibrary *library) {
    void *handle = open_library(RTLD_NOW | RTLD_NOLOAD);
    library->was_loaded = handle != NULL;
    if (!handle) handle = load(core_type);
    if (!handle) return dlerror();
    struct {
        const char *name;
        void *place;
    } calls[] = {
        {"cblas_sgemm", &sgemm},
        {"openblas_set_num_threads", &set_num_threads},
        {"openblas_get_num_threads", &get_num_threads},
        {"openblas_get_corename", &get_corename},
        {"openblas_get_config", &get_config},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        void *address = dlsym(handle, calls[i].name);
        if (!address) return dlerror();
        memcpy(calls[i].place, &address, sizeof address);
    }
    set_num_threads(1);
    library->core_name = get_corename();
    library->configuration = get_config();
    library->threads = get_num_threads();
    return NULL;
}

void blas_sgemm(
    int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb,
    float beta, float *c, int ldc) {
    sgemm(order, transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
