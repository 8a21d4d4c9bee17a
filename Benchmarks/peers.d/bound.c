// What shared memory can give: `bound plain|streaming RANKS PAGE SIZES MODES SECONDS WIRE` starts RANKS processes with all
// buffers mapped, of which each sums its slice of all buffers in one pass and stores it into all of them, between two barriers.
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

static float *buffers[most_ranks];
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

static void sum_tile(size_t first, size_t count) {
    float sums[tile] __attribute__((aligned(64)));
    const float *restrict a = buffers[0] + first, *restrict b = buffers[1] + first;
    for (size_t i = 0; i < count; i++) sums[i] = a[i] + b[i];
    for (int rank = 2; rank < ranks; rank++) {
        const float *restrict c = buffers[rank] + first;
        for (size_t i = 0; i < count; i++) sums[i] += c[i];
    }
    for (int rank = 0; rank < ranks; rank++) store(buffers[rank] + first, sums, count);
}

static int direct(float *buffer, size_t count) {
    size_t lines = (count + line - 1) / line;
    size_t first = lines * (size_t)own_rank / (size_t)ranks * line;
    size_t end = lines * ((size_t)own_rank + 1) / (size_t)ranks * line;
    (void)buffer;
    if (end > count) end = count;
    page_barrier();
    for (; first < end; first += tile) sum_tile(first, end - first < tile ? end - first : tile);
#if defined(__x86_64__)
    if (streaming) _mm_sfence();
#endif
    page_barrier();
    return 0;
}

static int copy(float *buffer, size_t count) {
    memcpy(buffers[1], buffer, count * sizeof(float));
    __asm__ volatile("" ::: "memory");
    return 0;
}

static size_t largest(const char *sizes) {
    size_t most = 0;
    for (char *rest = (char *)sizes; *rest; rest += *rest == ',') {
        char *end;
        size_t size = strtoull(rest, &end, 10);
        if (end == rest) return 0;
        if (size > most) most = size;
        rest = end;
    }
    return most;
}

static int run(int rank, int count, char **arguments, allreduce_function *function) {
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
    return measure(rank, ranks, function, buffers[rank], count, arguments);
}

int main(int count, char **arguments) {
    ranks = count == 8 ? atoi(arguments[2]) : 0;
    size_t bytes = count == 8 ? largest(arguments[4]) : 0;
    if (ranks < 1 || ranks > most_ranks || bytes == 0) {
        fprintf(stderr, "usage: bound plain|streaming|copy RANKS PAGE SIZES MODES SECONDS WIRE\n");
        return 2;
    }
    allreduce_function *function = strcmp(arguments[1], "copy") == 0 ? copy : direct;
    streaming = strcmp(arguments[1], "streaming") == 0;
    for (int rank = 0; rank < (function == copy ? 2 : ranks); rank++) {
        buffers[rank] = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (buffers[rank] == MAP_FAILED) return perror("mmap"), 1;
        madvise(buffers[rank], bytes, MADV_HUGEPAGE);
        memset(buffers[rank], 0, bytes);
    }
    for (int rank = 1; rank < ranks; rank++) {
        pid_t child = fork();
        if (child < 0) return perror("fork"), 1;
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            // A mapping is entered into the page tables of each process at its first touch.
            for (int other = 0; other < ranks; other++) {
                for (size_t i = 0; i < bytes / sizeof(float); i += 1024) (void)*(volatile float *)(buffers[other] + i);
            }
            _exit(run(rank, count - 3, arguments + 3, function));
        }
    }
    int status = run(0, count - 3, arguments + 3, function), child_status;
    while (wait(&child_status) > 0) status |= !WIFEXITED(child_status) || WEXITSTATUS(child_status);
    return status;
}
