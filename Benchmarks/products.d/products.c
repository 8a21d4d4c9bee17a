// See Benchmarks/products.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "CTiles.h"

enum { TURNS = 9, ELEMENTS = 16 << 20 };

typedef int (*OneDNN)(
    char, char, int64_t, int64_t, int64_t, float, const float *, int64_t, const float *, int64_t, float, float *, int64_t);
typedef void (*OpenBLAS)(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);

static float *left, *right, *result;

static double seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *times) {
    qsort(times, TURNS, sizeof *times, by_size);
    return times[TURNS / 2];
}

static void *symbol(const char *library, const char *name) {
    void *handle = dlopen(library, RTLD_NOW), *address = handle ? dlsym(handle, name) : NULL;
    if (!address) {
        fprintf(stderr, "Benchmarks/products: %s\n", dlerror());
        exit(1);
    }
    return address;
}

static const struct {
    const char *what;
    int left_transposed, right_transposed, m, n, k;
} products[] = {
    {"a small batch", 0, 0, 32, 256, 784},      {"square", 0, 0, 256, 256, 256},
    {"square", 0, 0, 1024, 1024, 1024},         {"mlp: layer 1", 0, 0, 128, 256, 784},
    {"layer 2", 0, 0, 128, 128, 256},           {"layer 3", 0, 0, 128, 10, 128},
    {"layer 1, by weights", 1, 0, 784, 256, 128}, {"layer 2, by weights", 1, 0, 256, 128, 128},
    {"layer 2, by inputs", 0, 1, 128, 256, 128}, {"convnet: dense", 0, 0, 64, 128, 12544},
    {"by weights", 1, 0, 12544, 128, 64},       {"by inputs", 0, 1, 64, 12544, 128},
    {"transformer: qkv", 0, 0, 1024, 384, 128}, {"down", 0, 0, 1024, 128, 512},
    {"down, by weights", 1, 0, 512, 128, 1024}, {"down, by inputs", 0, 1, 1024, 512, 128},
    {"a head: scores", 0, 1, 64, 64, 32},       {"a head: mean", 0, 0, 64, 32, 64},
};

static void measure_products(void) {
    OneDNN onednn = (OneDNN)symbol("libdnnl.so.2", "dnnl_sgemm");
    OpenBLAS openblas = (OpenBLAS)symbol("libopenblas.so.0", "cblas_sgemm");
    printf("| product | rows x columns x depth | OpenBLAS | oneDNN |\n|---|---|--:|--:|\n");
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        int m = products[i].m, n = products[i].n, k = products[i].k;
        int a = products[i].left_transposed, b = products[i].right_transposed, lda = a ? m : k, ldb = b ? k : n;
        double operations = 2.0 * m * n * k, times[2][TURNS];
        int calls = (int)(2e8 / operations) + 1;
        for (int turn = 0; turn < TURNS; turn++) {
            double start = seconds();
            for (int call = 0; call < calls; call++) {
                openblas(101, 111 + a, 111 + b, m, n, k, 1, left, lda, right, ldb, 0, result, n);
            }
            times[0][turn] = (seconds() - start) / calls;
            start = seconds();
            for (int call = 0; call < calls; call++) {
                onednn(a ? 'T' : 'N', b ? 'T' : 'N', m, n, k, 1, left, lda, right, ldb, 0, result, n);
            }
            times[1][turn] = (seconds() - start) / calls;
        }
        printf(
            "| %s | %d x %d x %d%s%s | %.0f | %.0f |\n", products[i].what, m, n, k, a ? ", left transposed" : "",
            b ? ", right transposed" : "", operations / median(times[0]) * 1e-9, operations / median(times[1]) * 1e-9);
    }
}

static const ConvolutionShape convolutions[] = {
    {28, 28, 1, 32, 3, 1, 1}, {28, 28, 32, 64, 3, 1, 1}, {28, 28, 16, 16, 3, 1, 1}, {28, 28, 16, 32, 3, 2, 1},
    {14, 14, 32, 32, 3, 1, 1}, {14, 14, 32, 64, 3, 2, 1}, {7, 7, 64, 64, 3, 1, 1},
};

static void measure_convolutions(void) {
    enum { BATCH = 64 };
    float *scratch = malloc(4 << 20), *weights = calloc(1 << 20, sizeof *weights), *gradient = calloc(1 << 20, sizeof *gradient);
    printf("\n| 3x3 convolution, batch %d | set | forward | by inputs | by weights |\n|---|---|--:|--:|--:|\n", BATCH);
    for (size_t i = 0; i < sizeof convolutions / sizeof *convolutions; i++) {
        const ConvolutionShape *s = &convolutions[i];
        size_t outputs = ((s->height - 1) / s->stride + 1) * ((s->width - 1) / s->stride + 1);
        double operations = 2.0 * BATCH * (double)(outputs * 9 * s->in_channels * s->out_channels);
        const TileSet *set;
        for (size_t index = 0; (set = tile_set_at(index)); index++) {
            double times[3][TURNS];
            for (int turn = 0; turn < TURNS; turn++) {
                double start = seconds();
                set->forward(s, BATCH, left, weights, NULL, true, result, scratch);
                double forward = seconds();
                set->input_gradient(s, BATCH, right, weights, result, scratch);
                double by_inputs = seconds();
                set->weight_gradient(s, BATCH, left, right, gradient, scratch);
                times[0][turn] = forward - start;
                times[1][turn] = by_inputs - forward;
                times[2][turn] = seconds() - by_inputs;
            }
            printf("| %zux%zux%zu to %zu%s | %s |", s->height, s->width, s->in_channels, s->out_channels, s->stride > 1 ? ", stride 2" : "",
                   set->name);
            for (int product = 0; product < 3; product++) printf(" %.0f |", operations / median(times[product]) * 1e-9);
            printf("\n");
        }
    }
    free(scratch);
    free(weights);
    free(gradient);
}

int main(void) {
    float **memory[] = {&left, &right, &result};
    for (size_t i = 0; i < 3; i++) {
        *memory[i] = malloc(ELEMENTS * sizeof(float));
        if (!*memory[i]) return 1;
        for (size_t j = 0; j < ELEMENTS; j++) (*memory[i])[j] = (float)(j % 13) * 0.1f - 0.6f;
    }
    measure_products();
    measure_convolutions();
    return 0;
}
