// The one loop by which every peer is measured; see measure.c.
#ifndef MEASURE_H
#define MEASURE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum collective {
    collective_allreduce,
    collective_reduce_scatter,
    collective_allgather,
    collective_broadcast,
    collective_reduce,
    collective_alltoall,
    collective_gather,
    collective_scatter,
    collectives_count
};

// One call of one rank: fp32, sums, rank 0 is the root. `count` is what MPI calls it: elements of a block where a buffer holds one for each rank
// (reduce_scatter, allgather, alltoall, gather, scatter), else of the buffer.
// In place, a rank's block of the smaller buffer is block RANK of the larger one; what has no blocks has one buffer.
struct call {
    enum collective collective;
    int in_place;
    float *input, *output;
    size_t count;
};

// Carries out the call. Returns where the rank's result begins (anything but NULL where it has none), NULL after a failure.
typedef const float *collective_function(const struct call *call);

// Measures `function` and prints, on rank 0, a line `point BYTES MODE ITERATIONS MICROSECONDS` for each size and mode.
// `arguments` are PAGE COLLECTIVE PLACE SIZES MODES SECONDS WIRE: a file of `page_bytes` zero bytes that all ranks map, a collective's name, `in` or
// `out`, the sizes of the larger buffer in bytes and the modes (dirty, warm) separated by commas, the time to spend on each point, and `bridge` or
// `memory`. With `bridge` the data has to cross the ports p1, p2, ... of tools/rxe's guest; where it did not, the line is `bypass BYTES MODE`.
// Buffers are on huge pages unless VERBENA_PEERS_PAGES is `small`.
// `input` (not used in place) and `output` hold the largest size and live as long as the call; NULL lets the loop allocate both.
// Returns 0, or an exit status after a line on stderr.
int measure(
    int rank, int ranks, collective_function *function, float *input, float *output, int arguments_count, char **arguments);

// The words of `measure`'s arguments that tell how large the buffers are, for who allocates them: the largest size, 0 for words that make no sense.
size_t largest_size(int arguments_count, char **arguments);

// What the loop allocates: aligned, zeroed, on huge pages or not as said above. NULL where there is no memory; `free` gives it back.
float *allocate_buffer(size_t bytes);

// Where the input and the output of a rank lie in its two buffers, of which the second has both in place.
float *input_of(const struct call *call, int rank, float *input, float *output);
float *output_of(const struct call *call, int rank, float *output);

// Waits for the other ranks on the page that `measure` has mapped: spins, and yields the core where ranks outnumber cores.
void page_barrier(void);

#ifdef __cplusplus
}
#endif

#endif
