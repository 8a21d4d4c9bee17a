#define _GNU_SOURCE
#include "measure.h"

#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

// All ranks run on one machine, on shared memory as on soft-RoCE, so that one barrier serves every peer: a slow barrier
// of the peer's own would show in its figures, because ranks that leave it apart wait for each other in the call.
enum { most_ranks = 64, page_bytes = 4096, least_iterations = 5, most_iterations = 1000000, largest_size = 1 << 30 };
enum { spins_before_yield = 2000, barrier_seconds = 120 };

struct page {
    _Alignas(128) atomic_uint_fast64_t arrived;
    _Alignas(128) uint64_t iterations;
    int wrong[most_ranks];
    double microseconds[most_ranks];
};
_Static_assert(sizeof(struct page) <= page_bytes, "the page holds what the ranks tell each other");

static struct page *page;
static int own_rank, world;
static uint64_t barriers;
static int spins, over_bridge;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void page_barrier(void) {
    uint64_t wanted = ++barriers * (uint64_t)world;
    double began = 0;
    atomic_fetch_add(&page->arrived, 1);
    for (int spun = 0; atomic_load_explicit(&page->arrived, memory_order_acquire) < wanted; spun++) {
        if (spun < spins) {
            relax();
            continue;
        }
        sched_yield();
        if (began == 0) began = now();
        if (now() - began > barrier_seconds) {
            fprintf(stderr, "rank %d waited %d s in a barrier: another rank is stuck or gone\n", own_rank, barrier_seconds);
            _exit(3);
        }
    }
}

// What rank `rank` puts in element i before call `iteration`: small whole numbers, whose sums are exact.
static float base(int rank, uint64_t iteration) { return (float)(((uint64_t)rank + 1) * (iteration % 8 + 1)); }

static void rewrite(float *buffer, size_t count, uint64_t iteration) {
    float first = base(own_rank, iteration);
    for (size_t i = 0; i < count; i++) buffer[i] = first + (float)(i & 63);
}

static int is_sum(const float *buffer, size_t count, uint64_t iteration) {
    float first = 0;
    for (int rank = 0; rank < world; rank++) first += base(rank, iteration);
    for (size_t i = 0; i < count; i++) {
        if (buffer[i] != first + (float)(world * (int)(i & 63))) return 0;
    }
    return 1;
}

// Runs `iterations` calls; returns the seconds of one call on this rank, or less than 0 when a call failed.
// Dirty: every element is stored anew and the ranks meet before each call, both untimed, and each call is timed by itself.
// Warm: calls follow each other on zeros, timed together, as nccl-tests does.
static double run(allreduce_function *allreduce, float *buffer, size_t count, int dirty, uint64_t iterations) {
    double total = 0;
    if (!dirty) memset(buffer, 0, count * sizeof(float));
    page_barrier();
    if (!dirty) total = -now();
    for (uint64_t iteration = 0; iteration < iterations; iteration++) {
        if (dirty) {
            rewrite(buffer, count, iteration);
            page_barrier();
            total -= now();
        }
        if (allreduce(buffer, count) != 0) return -1;
        if (dirty) total += now();
    }
    if (!dirty) total += now();
    return total / (double)iterations;
}

// Warms up with more and more calls, until they take long enough to tell how many fill `seconds`. Rank 0 decides for all.
// Returns 0 when a call failed.
static uint64_t calibrate(allreduce_function *allreduce, float *buffer, size_t count, int dirty, double seconds) {
    uint64_t iterations = 2;
    for (;;) {
        double began = now();
        if (run(allreduce, buffer, count, dirty, iterations) < 0) return 0;
        if (own_rank == 0) {
            double passed = now() - began;
            double wanted = seconds / passed * (double)iterations;
            if (wanted < least_iterations) wanted = least_iterations;
            if (wanted > most_iterations) wanted = most_iterations;
            // The top bit says that this is enough.
            page->iterations = passed > seconds / 8 || iterations * 4 > most_iterations ? (uint64_t)wanted | 1ull << 63 : 0;
        }
        page_barrier();
        uint64_t answer = page->iterations;
        page_barrier();
        if (answer >> 63) return answer & ~(1ull << 63);
        iterations *= 4;
    }
}

// Bytes that the ranks' hosts have sent over the bridge so far.
static double bridged(void) {
    double sum = 0;
    for (int rank = 1; rank <= world; rank++) {
        char path[80];
        unsigned long long bytes = 0;
        snprintf(path, sizeof path, "/sys/class/net/p%d/statistics/rx_bytes", rank);
        FILE *file = fopen(path, "r");
        if (file) {
            if (fscanf(file, "%llu", &bytes) != 1) bytes = 0;
            fclose(file);
        }
        sum += (double)bytes;
    }
    return sum;
}

// Prints the point. Whatever the algorithm, ranks together send 2 (N - 1) times the buffer; less went another way.
static void print_point(size_t bytes, const char *mode, uint64_t iterations, double sent) {
    double sum = 0, least = 2.0 * (world - 1) * (double)bytes * (double)iterations;
    for (int rank = 0; rank < world; rank++) sum += page->microseconds[rank];
    if (over_bridge && sent < least) {
        printf("bypass %zu %s\n", bytes, mode);
    } else {
        printf("point %zu %s %llu %.4f\n", bytes, mode, (unsigned long long)iterations, sum / world);
    }
    fflush(stdout);
}

static int measure_point(allreduce_function *allreduce, float *buffer, size_t bytes, const char *mode, double seconds) {
    int dirty = strcmp(mode, "dirty") == 0;
    size_t count = bytes / sizeof(float);
    uint64_t iterations = calibrate(allreduce, buffer, count, dirty, seconds);
    double sent = over_bridge ? bridged() : 0;
    double passed = iterations ? run(allreduce, buffer, count, dirty, iterations) : -1;
    if (passed < 0) {
        fprintf(stderr, "rank %d: allreduce of %zu bytes failed\n", own_rank, bytes);
        return 1;
    }
    page->microseconds[own_rank] = passed * 1e6;
    page->wrong[own_rank] = dirty && !is_sum(buffer, count, iterations - 1);
    page_barrier();
    int wrong = 0;
    for (int rank = 0; rank < world; rank++) wrong |= page->wrong[rank];
    if (own_rank == 0 && wrong) fprintf(stderr, "allreduce of %zu bytes gave a wrong sum\n", bytes);
    if (own_rank == 0 && !wrong) print_point(bytes, mode, iterations, over_bridge ? bridged() - sent : 0);
    page_barrier();
    return wrong;
}

static int map_page(const char *path) {
    int file = open(path, O_RDWR);
    void *memory = file < 0 ? MAP_FAILED : mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file >= 0) close(file);
    if (memory == MAP_FAILED) {
        perror(path);
        return 1;
    }
    page = memory;
    return 0;
}

// Every peer gets aligned, touched memory, on huge pages where the kernel gives them: who reads a peer's memory by CMA is
// nearly twice as fast on them.
static float *allocate(size_t bytes) {
    void *memory;
    const char *pages = getenv("VERBENA_PEERS_PAGES");
    if (posix_memalign(&memory, 2 << 20, bytes) != 0) return NULL;
    madvise(memory, bytes, pages && strcmp(pages, "small") == 0 ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
    memset(memory, 0, bytes);
    return memory;
}

int measure(int rank, int ranks, allreduce_function *allreduce, float *memory, int arguments_count, char **arguments) {
    size_t sizes[64], largest = 0;
    int sizes_count = 0;
    if (arguments_count != 5 || ranks > most_ranks) {
        fprintf(stderr, "usage: PAGE SIZES MODES SECONDS WIRE, at most %d ranks\n", most_ranks);
        return 2;
    }
    for (char *rest = arguments[1]; *rest && sizes_count < 64; rest += *rest == ',') {
        size_t size = strtoull(rest, &rest, 10);
        if (size < sizeof(float) || size > largest_size || (*rest && *rest != ',')) return fprintf(stderr, "bad sizes\n"), 2;
        sizes[sizes_count++] = size;
        if (size > largest) largest = size;
    }
    double seconds = atof(arguments[3]);
    own_rank = rank;
    world = ranks;
    over_bridge = strcmp(arguments[4], "bridge") == 0;
    spins = ranks > sysconf(_SC_NPROCESSORS_ONLN) ? 0 : spins_before_yield;
    if (map_page(arguments[0]) != 0) return 1;
    float *buffer = memory ? memory : allocate(largest);
    if (!buffer) return fprintf(stderr, "rank %d: no memory for %zu bytes\n", rank, largest), 1;
    const char *modes[] = {"dirty", "warm"};
    for (int i = 0; i < sizes_count; i++) {
        for (int mode = 0; mode < 2; mode++) {
            if (!strstr(arguments[2], modes[mode])) continue;
            int status = measure_point(allreduce, buffer, sizes[i], modes[mode], seconds);
            if (status != 0) return status;
        }
    }
    if (!memory) free(buffer);
    return 0;
}
