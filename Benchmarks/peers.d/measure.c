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
enum { most_ranks = 64, page_bytes = 4096, least_iterations = 5, most_iterations = 1000000 };
enum { most_sizes = 64, largest_buffer = 1 << 30, arguments_needed = 7 };
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

static const char *const names[collectives_count] = {
    "allreduce", "reduce_scatter", "allgather", "broadcast", "reduce", "alltoall", "gather", "scatter",
};

static int has_blocks(enum collective collective) {
    return collective != collective_allreduce && collective != collective_broadcast && collective != collective_reduce;
}

static int reads_blocks(enum collective collective) {
    return collective == collective_reduce_scatter || collective == collective_alltoall || collective == collective_scatter;
}

static int writes_blocks(enum collective collective) {
    return collective == collective_allgather || collective == collective_alltoall || collective == collective_gather;
}

float *input_of(const struct call *call, int rank, float *input, float *output) {
    if (!call->in_place) return input;
    int is_own_block = has_blocks(call->collective) && !reads_blocks(call->collective);
    return output + (is_own_block ? (size_t)rank * call->count : 0);
}

float *output_of(const struct call *call, int rank, float *output) {
    int is_own_block = call->in_place && has_blocks(call->collective) && !writes_blocks(call->collective);
    return output + (is_own_block ? (size_t)rank * call->count : 0);
}

// Elements of this rank's input and result.
static size_t input_count(const struct call *call) {
    if (own_rank != 0 && (call->collective == collective_broadcast || call->collective == collective_scatter)) return 0;
    return reads_blocks(call->collective) ? (size_t)world * call->count : call->count;
}

static size_t result_count(const struct call *call) {
    if (own_rank != 0 && (call->collective == collective_reduce || call->collective == collective_gather)) return 0;
    return writes_blocks(call->collective) ? (size_t)world * call->count : call->count;
}

static void rewrite(const struct call *call, uint64_t iteration) {
    float first = base(own_rank, iteration);
    size_t count = input_count(call);
    for (size_t i = 0; i < count; i++) call->input[i] = first + (float)(i & 63);
}

// Whether `result` has what the ranks' inputs of the call `iteration` come to.
static int is_result(const struct call *call, const float *result, uint64_t iteration) {
    enum collective collective = call->collective;
    int sums = collective == collective_allreduce || collective == collective_reduce || collective == collective_reduce_scatter;
    // Where in every giver's input this rank's part begins.
    size_t offset = reads_blocks(collective) ? (size_t)own_rank * call->count : 0;
    float sum = 0;
    for (int rank = 0; rank < world; rank++) sum += base(rank, iteration);
    size_t count = result_count(call);
    for (size_t i = 0; i < count; i++) {
        size_t block = writes_blocks(collective) ? i / call->count : 0, place = (offset + i - block * call->count) & 63;
        float wanted = sums ? sum + (float)(world * (int)place) : base((int)block, iteration) + (float)place;
        if (result[i] != wanted) return 0;
    }
    return 1;
}

// Runs `iterations` calls; returns the seconds of one call on this rank, or less than 0 when a call failed.
// Dirty: every element of the input is stored anew and the ranks meet before each call, both untimed, and each call is timed by itself.
// Warm: calls follow each other on zeros, timed together, as nccl-tests does.
static double run(collective_function *function, const struct call *call, int dirty, uint64_t iterations, const float **result) {
    double total = 0;
    if (!dirty) memset(call->input, 0, input_count(call) * sizeof(float));
    page_barrier();
    if (!dirty) total = -now();
    for (uint64_t iteration = 0; iteration < iterations; iteration++) {
        if (dirty) {
            rewrite(call, iteration);
            page_barrier();
            total -= now();
        }
        if ((*result = function(call)) == NULL) return -1;
        if (dirty) total += now();
    }
    if (!dirty) total += now();
    return total / (double)iterations;
}

// Warms up with more and more calls, until they take long enough to tell how many fill `seconds`. Rank 0 decides for all.
// Returns 0 when a call failed.
static uint64_t calibrate(collective_function *function, const struct call *call, int dirty, double seconds) {
    uint64_t iterations = 2;
    const float *result;
    for (;;) {
        double began = now();
        if (run(function, call, dirty, iterations, &result) < 0) return 0;
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

// Bytes that the ranks together have to send in one call, whatever the algorithm.
static double least_sent(const struct call *call) {
    double others = world - 1, bytes = (double)call->count * sizeof(float);
    switch (call->collective) {
    case collective_allreduce: return 2 * others * bytes;
    case collective_reduce_scatter:
    case collective_allgather:
    case collective_alltoall: return others * world * bytes;
    default: return others * bytes;
    }
}

static void print_point(const struct call *call, size_t bytes, const char *mode, uint64_t iterations, double sent) {
    double sum = 0;
    for (int rank = 0; rank < world; rank++) sum += page->microseconds[rank];
    if (over_bridge && sent < least_sent(call) * (double)iterations) {
        printf("bypass %zu %s\n", bytes, mode);
    } else {
        printf("point %zu %s %llu %.4f\n", bytes, mode, (unsigned long long)iterations, sum / world);
    }
    fflush(stdout);
}

static int measure_point(collective_function *function, const struct call *call, size_t bytes, const char *mode, double seconds) {
    int dirty = strcmp(mode, "dirty") == 0;
    const float *result = NULL;
    uint64_t iterations = calibrate(function, call, dirty, seconds);
    double sent = over_bridge ? bridged() : 0;
    double passed = iterations ? run(function, call, dirty, iterations, &result) : -1;
    if (passed < 0) {
        fprintf(stderr, "rank %d: %s of %zu bytes failed\n", own_rank, names[call->collective], bytes);
        return 1;
    }
    page->microseconds[own_rank] = passed * 1e6;
    page->wrong[own_rank] = dirty && !is_result(call, result, iterations - 1);
    page_barrier();
    int wrong = 0;
    for (int rank = 0; rank < world; rank++) wrong |= page->wrong[rank];
    if (own_rank == 0 && wrong) fprintf(stderr, "%s of %zu bytes gave a wrong result\n", names[call->collective], bytes);
    if (own_rank == 0 && !wrong) print_point(call, bytes, mode, iterations, over_bridge ? bridged() - sent : 0);
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
float *allocate_buffer(size_t bytes) {
    void *memory;
    const char *pages = getenv("VERBENA_PEERS_PAGES");
    if (posix_memalign(&memory, 2 << 20, bytes) != 0) return NULL;
    madvise(memory, bytes, pages && strcmp(pages, "small") == 0 ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
    memset(memory, 0, bytes);
    return memory;
}

// The sizes of the list, their number, 0 for a list that makes no sense.
static int parse_sizes(char *list, size_t sizes[most_sizes]) {
    int count = 0;
    for (char *rest = list; *rest && count < most_sizes; rest += *rest == ',') {
        size_t size = strtoull(rest, &rest, 10);
        if (size < sizeof(float) || size > largest_buffer || (*rest && *rest != ',')) return 0;
        sizes[count++] = size;
    }
    return count;
}

size_t largest_size(int arguments_count, char **arguments) {
    size_t sizes[most_sizes], largest = 0;
    int count = arguments_count == arguments_needed ? parse_sizes(arguments[3], sizes) : 0;
    for (int i = 0; i < count; i++) largest = sizes[i] > largest ? sizes[i] : largest;
    return largest;
}

int measure(
    int rank, int ranks, collective_function *function, float *input, float *output, int arguments_count, char **arguments) {
    size_t sizes[most_sizes], largest = largest_size(arguments_count, arguments);
    struct call call = {.collective = collectives_count};
    for (int i = 0; i < collectives_count && largest > 0; i++) {
        if (strcmp(arguments[1], names[i]) == 0) call.collective = (enum collective)i;
    }
    if (largest == 0 || ranks > most_ranks || call.collective == collectives_count) {
        fprintf(stderr, "usage: PAGE COLLECTIVE in|out SIZES MODES SECONDS WIRE, at most %d ranks\n", most_ranks);
        return 2;
    }
    call.in_place = strcmp(arguments[2], "in") == 0;
    double seconds = atof(arguments[5]);
    own_rank = rank;
    world = ranks;
    over_bridge = strcmp(arguments[6], "bridge") == 0;
    spins = ranks > sysconf(_SC_NPROCESSORS_ONLN) ? 0 : spins_before_yield;
    if (map_page(arguments[0]) != 0) return 1;
    float *own_input = output || call.in_place ? NULL : allocate_buffer(largest), *own_output = output ? NULL : allocate_buffer(largest);
    if (!output) (input = own_input, output = own_output);
    if (!output || (!input && !call.in_place)) return fprintf(stderr, "rank %d: no memory for %zu bytes\n", rank, largest), 1;
    const char *modes[] = {"dirty", "warm"};
    int sizes_count = parse_sizes(arguments[3], sizes);
    for (int i = 0; i < sizes_count; i++) {
        size_t elements = sizes[i] / sizeof(float), blocks = has_blocks(call.collective) ? (size_t)ranks : 1;
        call.count = elements / blocks;
        call.input = input_of(&call, rank, input, output);
        call.output = output_of(&call, rank, output);
        for (int mode = 0; mode < 2; mode++) {
            if (!strstr(arguments[4], modes[mode])) continue;
            int status = measure_point(function, &call, sizes[i], modes[mode], seconds);
            if (status != 0) return status;
        }
    }
    free(own_input);
    free(own_output);
    return 0;
}
