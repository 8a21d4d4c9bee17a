#include "COneDNN.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

/// The releases whose calls are as declared below.
static const char *const library_names[] = {"libdnnl.so.3", "libdnnl.so.2"};

/// dnnl_version_t as far as it is read.
typedef struct {
    int major, minor, patch;
} Version;

static int (*sgemm)(
    char, char, int64_t, int64_t, int64_t, float, const float *, int64_t, const float *, int64_t, float, float *, int64_t);
static const Version *(*version)(void);
static int (*set_max_cpu_isa)(unsigned);
static unsigned (*get_effective_cpu_isa)(void);
/// OpenMP's, for the calling thread; NULL where the library was built without.
static void (*set_num_threads)(int);

/// Opens the library with one thread in its environment. Another environment is put in the place of the process's for as long as the loader runs; the stand-in
/// is never freed: COpenBLAS.c says why.
static void *open_library(void) {
    static char threads_variable[] = "OMP_NUM_THREADS=1";
    size_t count = 0;
    while (environ && environ[count]) count++;
    char **stand_in = malloc((count + 2) * sizeof *stand_in), **own = environ;
    if (stand_in) {
        stand_in[0] = threads_variable;
        if (count > 0) memcpy(stand_in + 1, environ, count * sizeof *stand_in);
        stand_in[count + 1] = NULL;
        environ = stand_in;
    }
    void *library = NULL;
    for (size_t i = 0; !library && i < sizeof library_names / sizeof *library_names; i++) {
        library = dlopen(library_names[i], RTLD_NOW | RTLD_LOCAL);
    }
    environ = own;
    return library;
}

const char *onednn_load(bool portable, OneDNNLibrary *library) {
    void *handle = open_library();
    if (!handle) return dlerror();
    struct {
        const char *name;
        void *place;
    } calls[] = {
        {"dnnl_sgemm", &sgemm},
        {"dnnl_version", &version},
        {"dnnl_set_max_cpu_isa", &set_max_cpu_isa},
        {"dnnl_get_effective_cpu_isa", &get_effective_cpu_isa},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        void *address = dlsym(handle, calls[i].name);
        if (!address) return dlerror();
        memcpy(calls[i].place, &address, sizeof address);
    }
    void *address = dlsym(handle, "omp_set_num_threads");
    memcpy(&set_num_threads, &address, sizeof address);
    if (portable && set_max_cpu_isa(ONEDNN_AVX2) != 0) return "it refuses to be held to AVX2, for it has computed before";
    const Version *found = version();
    *library = (OneDNNLibrary){found->major, found->minor, found->patch, get_effective_cpu_isa()};
    return NULL;
}

void onednn_sgemm(
    bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
    float beta, float *c, int64_t ldc) {
    // OpenMP counts threads for each thread that calls it, and was perhaps loaded before us, under another environment.
    static _Thread_local bool is_held;
    if (!is_held && set_num_threads) set_num_threads(1);
    is_held = true;
    if (sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) != 0) __builtin_trap();
}
