// What shared memory can give: `bound plain|streaming RANKS PAGE COLLECTIVE PLACE SIZES MODES SECONDS WIRE` starts RANKS processes with all
// buffers mapped, of which each does its slice of all that is to be copied or summed, in one pass, between two barriers: an allreduce reads all
// inputs once and stores the sum into all outputs, an all-to-all in place swaps blocks.
// `bound copy 1 ...` measures memcpy of one process instead.
#define _GNU_SOURCE
#include "measure.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { most_ranks = 64, tile = 1024, line = 16 };

static float *inputs[most_ranks], *outputs[most_ranks];
static int own_rank, ranks, streaming;

// `destination` is on a cache line of its own, except at the ends of a buffer.
static void store(float *destination, const float *source, size_t count) {
    size_t i = 0;
#if defined(__AVX512F__)
    if (streaming && ((size_t)destination & 63) == 0) {
        for (; i + 16 <= count; i += 16) _mm512_stream_ps(destination + i, _mm512_loadu_ps(source + i));
    }
#elif defined(__x86_64__)
    if (streaming && ((size_t)destination & 15) == 0) {
        for (; i + 4 <= count; i += 4) _mm_stream_ps(destination + i, _mm_loadu_ps(source + i));
    }
#endif
    if (i < count) memcpy(destination + i, source + i, (count - i) * sizeof(float));
}

// What all ranks do together, each its slice: the sum of the sources goes to every destination.
struct work {
    const float *sources[most_ranks];
    float *destinations[most_ranks];
    int sources_count, destinations_count;
};

static void sum_tile(const struct work *work, size_t first, size_t count) {
    float sums[tile] __attribute__((aligned(64)));
    const float *restrict a = work->sources[0] + first, *restrict b = work->sources[1] + first;
    for (size_t i = 0; i < count; i++) sums[i] = a[i] + b[i];
    for (int source = 2; source < work->sources_count; source++) {
        const float *restrict c = work->sources[source] + first;
        for (size_t i = 0; i < count; i++) sums[i] += c[i];
    }
    for (int i = 0; i < work->destinations_count; i++) store(work->destinations[i] + first, sums, count);
}

static void copy_tile(const struct work *work, size_t first, size_t count) {
    for (int i = 0; i < work->destinations_count; i++) {
        if (work->destinations[i] != work->sources[0]) store(work->destinations[i] + first, work->sources[0] + first, count);
    }
}

// This rank's slice, in whole cache lines.
static void slice(size_t count, size_t *first, size_t *end) {
    size_t lines = (count + line - 1) / line;
    *first = lines * (size_t)own_rank / (size_t)ranks * line;
    *end = lines * ((size_t)own_rank + 1) / (size_t)ranks * line;
    if (*end > count) *end = count;
}

static void do_slice(const struct work *work, size_t count) {
    size_t first, end;
    for (slice(count, &first, &end); first < end; first += tile) {
        size_t some = end - first < tile ? end - first : tile;
        if (work->sources_count > 1) {
            sum_tile(work, first, some);
        } else {
            copy_tile(work, first, some);
        }
    }
}

static void copy_slice(const float *source, float *destination, size_t count) {
    do_slice(&(struct work){.sources = {source}, .destinations = {destination}, .sources_count = 1, .destinations_count = 1}, count);
}

static void swap_slice(float *a, float *b, size_t count) {
    float kept[tile] __attribute__((aligned(64)));
    size_t first, end;
    for (slice(count, &first, &end); first < end; first += tile) {
        size_t some = end - first < tile ? end - first : tile;
        memcpy(kept, a + first, some * sizeof(float));
        store(a + first, b + first, some);
        store(b + first, kept, some);
    }
}

static float *input(const struct call *call, int rank) { return input_of(call, rank, inputs[rank], outputs[rank]); }
static float *output(const struct call *call, int rank) { return output_of(call, rank, outputs[rank]); }

// Block `block` of every rank's input, summed into `block` of the outputs of ranks first to last.
static void sum_of_all(const struct call *call, int block, int first_rank, int last_rank) {
    struct work work = {.sources_count = ranks};
    for (int rank = 0; rank < ranks; rank++) work.sources[rank] = input(call, rank) + (size_t)block * call->count;
    for (int rank = first_rank; rank <= last_rank; rank++) work.destinations[work.destinations_count++] = output(call, rank);
    do_slice(&work, call->count);
}

// A rank's input into block `block` of the outputs of all ranks.
static void spread(const struct call *call, int from, int block) {
    struct work work = {.sources = {input(call, from)}, .sources_count = 1, .destinations_count = ranks};
    for (int rank = 0; rank < ranks; rank++) work.destinations[rank] = output(call, rank) + (size_t)block * call->count;
    do_slice(&work, call->count);
}

static void exchange(const struct call *call, int a, int b) {
    size_t block_a = (size_t)a * call->count, block_b = (size_t)b * call->count;
    if (call->in_place) {
        if (a != b) swap_slice(outputs[a] + block_b, outputs[b] + block_a, call->count);
        return;
    }
    copy_slice(inputs[a] + block_b, outputs[b] + block_a, call->count);
    if (a != b) copy_slice(inputs[b] + block_a, outputs[a] + block_b, call->count);
}

static void do_share(const struct call *call) {
    size_t count = call->count;
    switch (call->collective) {
    case collective_allreduce: sum_of_all(call, 0, 0, ranks - 1); break;
    case collective_reduce: sum_of_all(call, 0, 0, 0); break;
    case collective_reduce_scatter:
        for (int rank = 0; rank < ranks; rank++) sum_of_all(call, rank, rank, rank);
        break;
    case collective_broadcast: spread(call, 0, 0); break;
    case collective_allgather:
        for (int rank = 0; rank < ranks; rank++) spread(call, rank, rank);
        break;
    case collective_gather:
        for (int rank = 0; rank < ranks; rank++) copy_slice(input(call, rank), output(call, 0) + (size_t)rank * count, count);
        break;
    case collective_scatter:
        for (int rank = 0; rank < ranks; rank++) copy_slice(input(call, 0) + (size_t)rank * count, output(call, rank), count);
        break;
    case collective_alltoall:
        for (int a = 0; a < ranks; a++) {
            for (int b = a; b < ranks; b++) exchange(call, a, b);
        }
        break;
    case collectives_count: break;
    }
}

static const float *direct(const struct call *call) {
    page_barrier();
    do_share(call);
#if defined(__x86_64__)
    if (streaming) _mm_sfence();
#endif
    page_barrier();
    return call->output;
}

static const float *copy(const struct call *call) {
    memcpy(outputs[1], call->output, call->count * sizeof(float));
    __asm__ volatile("" ::: "memory");
    return call->output;
}

static int run(int rank, int count, char **arguments, collective_function *function) {
    // Each rank on a core of its own, of those that we may use.
    cpu_set_t usable, own;
    CPU_ZERO(&own);
    if (sched_getaffinity(0, sizeof usable, &usable) == 0 && ranks <= CPU_COUNT(&usable)) {
        int core = 0;
        for (int left = rank; !CPU_ISSET(core, &usable) || left-- > 0;) core++;
        CPU_SET(core, &own);
        sched_setaffinity(0, sizeof own, &own);
    }
    own_rank = rank;
    return measure(rank, ranks, function, inputs[rank], outputs[rank], count, arguments);
}

static float *map_shared(size_t bytes) {
    float *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    madvise(memory, bytes, MADV_HUGEPAGE);
    memset(memory, 0, bytes);
    return memory;
}

// A mapping is entered into the page tables of each process at its first touch.
static void touch(const float *memory, size_t bytes) {
    for (size_t i = 0; i < bytes / sizeof(float); i += 1024) (void)*(const volatile float *)(memory + i);
}

int main(int count, char **arguments) {
    ranks = count > 2 ? atoi(arguments[2]) : 0;
    size_t bytes = count > 3 ? largest_size(count - 3, arguments + 3) : 0;
    if (ranks < 1 || ranks > most_ranks || bytes == 0) {
        fprintf(stderr, "usage: bound plain|streaming|copy RANKS PAGE COLLECTIVE PLACE SIZES MODES SECONDS WIRE\n");
        return 2;
    }
    collective_function *function = strcmp(arguments[1], "copy") == 0 ? copy : direct;
    streaming = strcmp(arguments[1], "streaming") == 0;
    int mapped = function == copy ? 2 : ranks;
    for (int rank = 0; rank < mapped; rank++) {
        inputs[rank] = map_shared(bytes);
        outputs[rank] = map_shared(bytes);
        if (!inputs[rank] || !outputs[rank]) return perror("mmap"), 1;
    }
    for (int rank = 1; rank < ranks; rank++) {
        pid_t child = fork();
        if (child < 0) return perror("fork"), 1;
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (int other = 0; other < ranks; other++) {
                touch(inputs[other], bytes);
                touch(outputs[other], bytes);
            }
            _exit(run(rank, count - 3, arguments + 3, function));
        }
    }
    int status = run(0, count - 3, arguments + 3, function), child_status;
    while (wait(&child_status) > 0) status |= !WIFEXITED(child_status) || WEXITSTATUS(child_status);
    return status;
}
