// The one loop by which every peer is measured; see measure.c.
#ifndef MEASURE_H
#define MEASURE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Sums `count` floats of `buffer` over all ranks, in place. Nonzero is a failure.
typedef int allreduce_function(float *buffer, size_t count);

// Measures `allreduce` and prints, on rank 0, a line `point BYTES MODE ITERATIONS MICROSECONDS` for each size and mode.
// `arguments` are PAGE SIZES MODES SECONDS WIRE: a file of `page_bytes` zero bytes that all ranks map, the sizes in bytes and
// the modes (dirty, warm) separated by commas, the time to spend on each point, and `bridge` or `memory`. With `bridge`
// the data has to cross the ports p1, p2, ... of tools/rxe's guest; where it did not, the line is `bypass BYTES MODE`.
// Buffers are on huge pages unless VERBENA_PEERS_PAGES is `small`.
// `memory` holds the largest size and lives as long as the call; NULL lets the loop allocate.
// Returns 0, or an exit status after a line on stderr.
int measure(int rank, int ranks, allreduce_function *allreduce, float *memory, int arguments_count, char **arguments);

// Waits for the other ranks on the page that `measure` has mapped: spins, and yields the core where ranks outnumber cores.
void page_barrier(void);

#ifdef __cplusplus
}
#endif

#endif
