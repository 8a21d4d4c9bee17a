/*
 * verbena.h: collectives between the ranks of a job, over RDMA verbs or shared memory.
 *
 * A rank is a process. It joins its job, allocates or registers memory, and calls collectives, as every other rank does: in the same order, with
 * the same arguments. docs/C.md has a start of three minutes.
 *
 * RESULTS. A function that returns int gives 0, or a negative code of enum verbena_code. One that gives a number gives 0 or more, or such a code; one that gives a
 *     pointer gives NULL where it fails. verbena_last_error() then has the rank at fault, the cause and the remedy, on the thread of the failed call.
 *     Where a call fails, what its out parameters point to is left as it was.
 * HANDLES. communicators, buffers, requests and gradients are opaque. Each has a function that frees it, which takes NULL as well. A handle that was
 *     freed must not be used again, and none may be freed while a call with it goes on. Order does not matter: each keeps what it needs.
 * THREADS. Any thread may call anything. Collectives of one communicator are called by one thread at a time, because their order counts; transfers
 *     between two ranks may go on beside them, one for each peer and direction. Requests may be waited for by any threads.
 * PROCESS. No exception leaves the library, no handler of a signal is set, no child is reaped. It ignores SIGPIPE where that had its default, and raises the
 *     soft limit on open files to the hard one. After fork() the child must not call it; the parent goes on.
 * SIZES. Counts and offsets are in elements, of one rank's part, unless a name says bytes. Times are in seconds, unless a name says nanoseconds.
 * VERSIONS. The first field of every structure is its size: set it to sizeof of the structure and the rest to 0 (VERBENA_INIT does), then a field of a later
 *     version is not read, and keeps its default. A caller newer than the library is refused where it sets a field that the library does not know.
 */
#ifndef VERBENA_H
#define VERBENA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sets a structure to its defaults: struct verbena_join_options options; VERBENA_INIT(options); */
#define VERBENA_INIT(structure)                                                                  \
    do {                                                                                         \
        unsigned char *verbena_bytes = (unsigned char *)&(structure);                            \
        for (size_t verbena_i = 0; verbena_i < sizeof(structure); verbena_i++) verbena_bytes[verbena_i] = 0; \
        (structure).size = sizeof(structure);                                                    \
    } while (0)

/* A group of ranks that exchange data. */
typedef struct verbena_communicator verbena_communicator;
/* Memory that they exchange, seen as elements of one type. */
typedef struct verbena_buffer verbena_buffer;
/* An operation that was started. */
typedef struct verbena_request verbena_request;
/* The gradients of a model on their way. */
typedef struct verbena_gradients verbena_gradients;

/* What a call returns: VERBENA_OK, or why it failed. */
enum verbena_code {
    VERBENA_OK = 0,
    VERBENA_DIED = -1,          /* A rank's process has ended without taking leave. */
    VERBENA_UNREACHABLE = -2,   /* Nothing is heard of a rank, or no way leads to it, for longer than a bound. */
    VERBENA_STALLED = -3,       /* A rank lives, but did not come to a call, or moved nothing, within a bound. */
    VERBENA_DISAGREED = -4,     /* Ranks make different calls, or a rank does not keep to the protocol. */
    VERBENA_ABORTED = -5,       /* A rank's program has ended the job. */
    VERBENA_LEFT = -6,          /* A rank took leave while others still needed it. */
    VERBENA_CLOSED = -7,        /* This rank itself has closed, left or released what it still asks something of. */
    VERBENA_CONFIGURATION = -8, /* The environment, an option, an argument or the order of this rank's calls is wrong. */
    VERBENA_RESOURCE = -9       /* A device, port or driver failed a rank, or its machine has not enough memory, descriptors or permission. */
};

/* What a buffer is made of. */
enum verbena_type {
    VERBENA_FLOAT32 = 0,
    VERBENA_FLOAT64 = 1,
    VERBENA_FLOAT16 = 2,
    VERBENA_BFLOAT16 = 3,
    VERBENA_INT8 = 4,
    VERBENA_INT16 = 5,
    VERBENA_INT32 = 6,
    VERBENA_INT64 = 7,
    VERBENA_UINT8 = 8,
    VERBENA_UINT16 = 9,
    VERBENA_UINT32 = 10,
    VERBENA_UINT64 = 11
};

/* How elements of the ranks become one. */
enum verbena_reduction {
    VERBENA_SUM = 0,
    VERBENA_AVERAGE = 1, /* The sum over the number of ranks. */
    VERBENA_PRODUCT = 2,
    VERBENA_MINIMUM = 3,
    VERBENA_MAXIMUM = 4
};

/* For verbena_explain. */
enum verbena_collective {
    VERBENA_ALL_REDUCE = 0,
    VERBENA_REDUCE_SCATTER = 1,
    VERBENA_ALL_GATHER = 2,
    VERBENA_ALL_TO_ALL = 3,
    VERBENA_BROADCAST = 4,
    VERBENA_REDUCE = 5,
    VERBENA_GATHER = 6,
    VERBENA_SCATTER = 7,
    VERBENA_BARRIER = 8
};

/* ---- errors ---- */

/* Why a call failed. */
struct verbena_error {
    size_t size;
    int32_t code; /* The cause: enum verbena_code. */
    int32_t rank; /* The rank at fault, by its number in the job of verbena_join; -1 where there is none, or where it is the launcher. */
    /* 1 where every rank gets this error: the job is over, and what operations under way were to write is in any state until the communicator is closed.
     * 0 where it is this rank's own: the others wait for it until it comes, leaves or calls verbena_abort. */
    int32_t is_known_to_all;
    int32_t reserved;
    const char *message; /* One line: who, during what, why, and what to do. UTF-8. */
};

/*
 * Gives the error of the last call on this thread that failed. Calls that succeed leave it; before the first failure its code is 0. It stays as it is until the
 * next failure on this thread; the thread's end takes it away. Never NULL. A message is cut at 2,000 bytes.
 */
const struct verbena_error *verbena_last_error(void);

/* Gives the library's version, such as "0.1.0": all ranks run the same. Stays for ever. */
const char *verbena_version(void);

/* ---- joining and leaving ---- */

/*
 * How this process joins its job. 0 and NULL everywhere: who it is comes from the variables that launchers set (RANK, WORLD_SIZE, MASTER_ADDR,
 * MASTER_PORT of torchrun; those of mpirun and srun; none: a job of one), and all else has its default or its VERBENA_ variable. Read during the call only.
 */
struct verbena_join_options {
    size_t size;
    /* Explicitly: world_size of 1 or more, and then these; launchers' variables are not looked at. */
    int32_t world_size;
    int32_t rank;        /* 0 to world_size - 1. */
    const char *address; /* Where rank 0 is to be reached, by name or number. NULL: this machine, 127.0.0.1. */
    int32_t port;        /* The one that rank 0 listens on, 1 to 65535; 0 for 29500. */
    int32_t reserved;
    const char *secret; /* Only ranks of the same secret join: a random text. NULL: VERBENA_SECRET, where it is set. */
    const char *job_id; /* Keeps jobs apart that have the same secret or none. NULL for none. */
    /* In either case. */
    const char *fabric;           /* "auto" (shared memory where all ranks are on one machine), "shm", "verbs". */
    const char *devices;          /* RDMA devices to use, in turn by local rank: names, separated by commas. NULL for every usable one. */
    int32_t devices_per_rank;     /* 1 to 16; 0 for 1. */
    int32_t channels_per_peer;    /* Ordered connections to each other rank; 0 for as many as the fabric gains by. */
    const char *progress;         /* Who drives what was started: "auto", "thread" (one of the library's), "hooks" (the caller's threads, at their calls). */
    double join_timeout_seconds;  /* How long the ranks may take to find each other; 0 for 120. Rank 0's counts for all. */
    double liveness_timeout_seconds; /* How long a rank that does not answer may go unnoticed; 0 for 30. One that dies is noticed at once. */
    double stall_timeout_seconds; /* How long an operation may stand still before it has failed; 0 for 600. */
    int64_t receive_buffer_bytes; /* Memory beyond the caller's buffers, at most, of each communicator; 0 for the default. */
};

/*
 * Joins the job and connects to the other ranks. Blocks for at most the join timeout until they have met, then as a rule for milliseconds. Every rank calls it.
 * options: NULL for all defaults. communicator: receives the handle, to be freed by verbena_communicator_free.
 * Warnings, such as of a missing secret, go to stderr.
 * Errors: any; where one rank cannot join, every rank is told why.
 */
int verbena_join(const struct verbena_join_options *options, verbena_communicator **communicator);

/*
 * Makes communicators of this one's ranks: those that give the same color form one, numbered by their keys and, where these are equal, by their
 * numbers here. A rank of a negative color takes part in the call, and child receives NULL. Collective. A child has a fabric and an order of operations
 * of its own; it takes every buffer of the job. Closing the parent closes it.
 */
int verbena_split(verbena_communicator *communicator, int64_t color, int64_t key, verbena_communicator **child);

/*
 * Takes leave when every rank has come here; operations that were started are completed first. With the communicator of all ranks, all buffers end.
 * Collective. A second call does nothing. Errors: the job's; the communicator is closed all the same.
 */
int verbena_close(verbena_communicator *communicator);

/* Goes without waiting for anybody, after an error. Operations under way end with VERBENA_CLOSED. */
int verbena_leave(verbena_communicator *communicator);

/* Ends the job for all ranks: each gets VERBENA_ABORTED, this rank's number and the reason, a line of UTF-8. Any thread. */
int verbena_abort(verbena_communicator *communicator, const char *reason);

/* Frees the handle. A job that was neither closed nor left is left: the other ranks take this one for dead. */
int verbena_communicator_free(verbena_communicator *communicator);

/*
 * What has become of the job: VERBENA_OK while it runs; VERBENA_CLOSED after this rank has closed or left; else why it failed, and verbena_last_error() names
 * the rank. What is known of a failure stays after the end. Any thread; does not wait.
 */
int verbena_status(verbena_communicator *communicator);

/* This process's number in the communicator, and how many ranks that has. */
int verbena_rank(verbena_communicator *communicator);
int verbena_world_size(verbena_communicator *communicator);
/* This rank's number among those on its machine, and how many there are. */
int verbena_local_rank(verbena_communicator *communicator);
int verbena_local_world_size(verbena_communicator *communicator);
/* What carries the data: "shm" or "verbs"; and the device: "mlx5_0", "memory". They stay as long as the handle. */
const char *verbena_fabric_name(verbena_communicator *communicator);
const char *verbena_device_name(verbena_communicator *communicator);

/* ---- memory ---- */

/*
 * Allocates count elements, zero at first, page-aligned, that are exchanged without a copy. Collective: every rank gives the same. The memory stays until
 * verbena_buffer_release or verbena_buffer_free, or until the communicator of all ranks is closed. count: 0 or more.
 */
int verbena_allocate(verbena_communicator *communicator, enum verbena_type type, int64_t count, verbena_buffer **buffer);

/*
 * Makes memory of the caller's a buffer. Collective: every rank gives as many elements of the same type. Verbs exchanges it without a copy; on shared memory it goes
 * through smaller buffers, tile by tile, and as a whole in broadcast, reduce, gather, scatter and transfers, which verbena_allocate spares. memory: aligned for its elements, NULL where there are none; the caller keeps
 * it in its place until the buffer was released, or the communicator of all ranks closed.
 */
int verbena_register(verbena_communicator *communicator, void *memory, enum verbena_type type, int64_t count, verbena_buffer **buffer);

/*
 * Gives a buffer that is all memory of this process, as elements of a type: for memory that was neither allocated nor registered, at another place on each rank. The
 * offset of address A is (A - verbena_buffer_data) / the element's size, so A is aligned. all_reduce, reduce_scatter, all_gather and all_to_all take
 * it, where every rank does so; nothing is copied as a whole, nothing is exchanged for it, and what an offset names stays mapped until the operation's end.
 * Not collective. To be freed as any; frees no memory.
 * Errors: VERBENA_CONFIGURATION where ranks do not share the memory of one machine: use verbena_register.
 */
int verbena_own_memory(verbena_communicator *communicator, enum verbena_type type, verbena_buffer **buffer);

/* Gives another handle of the same memory as elements of another type, as many as there is room for. To be freed as any; frees no memory. */
int verbena_buffer_view(verbena_buffer *buffer, enum verbena_type type, verbena_buffer **view);

/* Makes a buffer known to a communicator of the job that has not used it. Collective. Collectives do so by themselves; transfers between two ranks need it before. */
int verbena_attach(verbena_communicator *communicator, verbena_buffer *buffer);

/*
 * Gives the memory back: every handle of it then gives VERBENA_CLOSED. Each rank releases its own, at whatever time.
 * Errors: VERBENA_CONFIGURATION while an operation on it is under way, and nothing is given back; VERBENA_CLOSED the second time.
 */
int verbena_buffer_release(verbena_buffer *buffer);

/*
 * Frees the handle; one of verbena_allocate or verbena_register gives its memory back, if it has not.
 * Errors: VERBENA_CONFIGURATION while an operation on the memory is under way; the handle stays then.
 */
int verbena_buffer_free(verbena_buffer *buffer);

/* Where the elements begin: valid as long as the memory. Between begin and end of an operation they are the library's. NULL after the memory's end. */
void *verbena_buffer_data(verbena_buffer *buffer);
/* How many elements there are, and of which type. */
int64_t verbena_buffer_count(verbena_buffer *buffer);
int verbena_buffer_type(verbena_buffer *buffer);

/* ---- collectives ---- */

/*
 * Each comes twice: blocking, and started. Inputs and outputs are parts of buffers: a buffer, and the element at which the part begins, which must be the same on
 * every rank. output: NULL for in place, and its offset is not looked at. N is the number of ranks.
 *
 *                    input of each rank             output of each rank
 *   all_reduce       count                          count: the reduction over all ranks
 *   reduce_scatter   N x count                      count: block `rank` of the reduction
 *   all_gather       count                          N x count: every rank's input, in the order of ranks
 *   all_to_all       N x count                      N x count: block `rank` of every rank's input
 *   broadcast        count, the root's is read      count: the root's input
 *   reduce           count                          count, the root's is written: the reduction
 *   gather           count                          N x count, the root's is written
 *   scatter          N x count, the root's is read  count: block `rank` of the root's input
 *
 * In place of reduce_scatter, all_gather, gather and scatter the part holds N x count elements, and a rank's own block is at rank x count.
 *
 * Blocking: returns when this rank's part of the result is final and its buffers may be changed. timeout_seconds: how long it may take; after that the job has
 * failed with VERBENA_STALLED on every rank. Negative for no bound but that of verbena_join_options. Allocates no memory after the first call of a size.
 *
 * Started: returns at once; the request ends when the operation has. Leave the buffers alone until it was waited for. At most 512 may be under way.
 * request: receives the handle, to be freed by verbena_request_free.
 *
 * Errors: VERBENA_CONFIGURATION where arguments do not fit, before anything moves; VERBENA_CLOSED after the end of the communicator or of a buffer; else the
 * job's, the same on every rank: ranks whose arguments differ all get VERBENA_DISAGREED, and all survivors of a dead rank VERBENA_DIED with its number.
 */
int verbena_all_reduce(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    int64_t count, enum verbena_reduction reduction, double timeout_seconds);
int verbena_start_all_reduce(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    int64_t count, enum verbena_reduction reduction, verbena_request **request);

int verbena_reduce_scatter(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    int64_t count, enum verbena_reduction reduction, double timeout_seconds);
int verbena_start_reduce_scatter(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    int64_t count, enum verbena_reduction reduction, verbena_request **request);

int verbena_all_gather(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    int64_t count, double timeout_seconds);
int verbena_start_all_gather(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    int64_t count, verbena_request **request);

int verbena_all_to_all(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    int64_t count, double timeout_seconds);
int verbena_start_all_to_all(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    int64_t count, verbena_request **request);

/* In place only. */
int verbena_broadcast(
    verbena_communicator *communicator, verbena_buffer *buffer, int64_t offset, int64_t count, int root, double timeout_seconds);
int verbena_start_broadcast(
    verbena_communicator *communicator, verbena_buffer *buffer, int64_t offset, int64_t count, int root, verbena_request **request);

int verbena_reduce(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    int64_t count, enum verbena_reduction reduction, int root, double timeout_seconds);
int verbena_start_reduce(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    int64_t count, enum verbena_reduction reduction, int root, verbena_request **request);

int verbena_gather(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    int64_t count, int root, double timeout_seconds);
int verbena_start_gather(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    int64_t count, int root, verbena_request **request);

int verbena_scatter(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    int64_t count, int root, double timeout_seconds);
int verbena_start_scatter(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    int64_t count, int root, verbena_request **request);

/* Returns, or ends, once every rank has begun it. */
int verbena_barrier(verbena_communicator *communicator, double timeout_seconds);
int verbena_start_barrier(verbena_communicator *communicator, verbena_request **request);

/*
 * Uneven blocks, back to back in the order of ranks. counts: one for each rank, 0 or more, the same list on every rank; read during the call only.
 * Of all_to_all, send_counts has the elements for each rank and receive_counts those from each: what that rank sends to this one; the output is another
 * place than the input. These allocate memory on each call.
 */
int verbena_all_gather_v(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    const int64_t *counts, double timeout_seconds);
int verbena_start_all_gather_v(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    const int64_t *counts, verbena_request **request);
int verbena_reduce_scatter_v(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    const int64_t *counts, enum verbena_reduction reduction, double timeout_seconds);
int verbena_start_reduce_scatter_v(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    const int64_t *counts, enum verbena_reduction reduction, verbena_request **request);
int verbena_all_to_all_v(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    const int64_t *send_counts, const int64_t *receive_counts, double timeout_seconds);
int verbena_start_all_to_all_v(
    verbena_communicator *communicator, verbena_buffer *input, int64_t input_offset, verbena_buffer *output, int64_t output_offset,
    const int64_t *send_counts, const int64_t *receive_counts, verbena_request **request);

/*
 * Transfers between two ranks: count elements from offset, to or from another rank, which makes the matching call with as many of the same type, at any offset.
 * They are matched by their order between these two, apart from collectives.
 */
int verbena_send(
    verbena_communicator *communicator, verbena_buffer *buffer, int64_t offset, int64_t count, int rank, double timeout_seconds);
int verbena_start_send(
    verbena_communicator *communicator, verbena_buffer *buffer, int64_t offset, int64_t count, int rank, verbena_request **request);
int verbena_receive(
    verbena_communicator *communicator, verbena_buffer *buffer, int64_t offset, int64_t count, int rank, double timeout_seconds);
int verbena_start_receive(
    verbena_communicator *communicator, verbena_buffer *buffer, int64_t offset, int64_t count, int rank, verbena_request **request);

/*
 * Writes into text what would be done for a collective of this size, and why: one line, the same on every rank. byte_count: of `count` elements.
 * text: room for capacity bytes, the closing 0 among them; what does not fit is cut. NULL where capacity is 0.
 * Returns the length of the whole line in bytes, without the closing 0.
 */
int64_t verbena_explain(
    verbena_communicator *communicator, enum verbena_collective collective, int64_t byte_count, enum verbena_type type, char *text,
    int64_t capacity);

/* ---- requests ---- */

/* 1 where the operation has ended, well or not; 0 where it goes on. Does not wait. */
int verbena_test(verbena_request *request);

/*
 * Waits until the operation has ended on this rank, a second time not at all, with the same outcome.
 * timeout_seconds: how long at most, negative for no bound. The operation goes on after it. has_ended: receives 1, or 0 where the time was over; may be NULL where
 * there is no bound. Errors: the operation's, which has ended then.
 */
int verbena_wait(verbena_request *request, double timeout_seconds, int *has_ended);

/*
 * Waits until one of count requests has ended, well or not. index: receives the place in the list of the first that has; -1 where none has by the timeout, and for an
 * empty list.
 */
int verbena_wait_any(verbena_request *const *requests, int64_t count, double timeout_seconds, int64_t *index);

/* When an operation came to each of its stages, in nanoseconds of CLOCK_MONOTONIC. */
struct verbena_record {
    size_t size;
    uint64_t submitted;        /* The caller asked for it. */
    uint64_t started;          /* It began: before that it waited for a free lane. */
    uint64_t first_arrival;    /* It took the first message of a peer, and the last; `started` where it needs none. */
    uint64_t last_arrival;
    uint64_t ended;
    uint64_t work_nanoseconds; /* How long the driving thread added and copied elements since `started`. */
};

/* Gives the times of an operation that was waited for. Errors: VERBENA_CONFIGURATION before that, and where it failed. */
int verbena_request_record(verbena_request *request, struct verbena_record *record);

/* Frees the handle. Waits for the operation, if nobody has; its error is lost then. */
int verbena_request_free(verbena_request *request);

/* ---- gradients ---- */

/* How gradients are exchanged; equal on every rank. */
struct verbena_gradient_settings {
    size_t size;
    int64_t bucket_bytes;   /* 0: where the planner expects the shortest step. More: every so many bytes. -1: by the rule of PyTorch's DDP. */
    const char *schedule;   /* "allreduce", or "split": reduced in backprop, gathered in the next forward pass. NULL for the planner's choice. */
    const char *wire;       /* How fp32 elements travel: "fp32", "bf16", "fp16", "int8"; "auto" to try. NULL for fp32. */
    int32_t is_sum;         /* 0 for the average over all ranks, 1 for the sum. */
    int32_t allows_unused;  /* 1: what was not announced when backprop ends counts as zero, instead of being an error. */
};

/* Where the time of a step went on this rank, in seconds. */
struct verbena_step_report {
    size_t size;
    int64_t step; /* Counted from 0. */
    double step_seconds;
    double compute_seconds;       /* The trainer's own time. */
    double communication_seconds; /* At least one bucket was under way. */
    double hidden_seconds;        /* Of that, what the trainer did not notice. */
    double exposed_seconds;       /* The trainer waited for gradients: the sum of what follows. */
    double own_gradient_seconds;  /* A gradient of this rank was not ready. */
    double late_peer_seconds;     /* One of another rank was not ready. */
    double wire_seconds;          /* Messages were on the way. */
    double reduction_seconds;     /* Elements were added and copied. */
    double core_seconds;          /* The driving thread had no core. */
    double release_seconds;       /* All was done, and the trainer did not run yet. */
    int32_t late_rank;            /* The rank that was waited for longest, -1 for none. */
    int32_t reserved;
};

/*
 * Lays out the gradients of a model and allocates their memory. Collective: ranks that differ are told where.
 * names, counts, types: of `count` parameters, in the order of the forward pass; names of UTF-8, for messages; types fp32, fp64, fp16 or bf16, NULL for fp32
 * throughout. settings: NULL for all defaults. All are read during the call only. gradients: receives the handle, to be freed by verbena_gradients_free.
 *
 * A step: every rank writes each gradient into its place (verbena_gradient_data), calls verbena_gradient_ready, and in the end verbena_gradients_synchronize, or
 * verbena_gradient_wait for each parameter. Any thread may announce, several at once; all else belongs to one thread at a time.
 */
int verbena_gradients_create(
    verbena_communicator *communicator, const char *const *names, const int64_t *counts, const enum verbena_type *types, int64_t count,
    const struct verbena_gradient_settings *settings, verbena_gradients **gradients);

/*
 * Gives the memory back and frees the handle. Errors: VERBENA_CONFIGURATION inside a step; the handle stays then.
 */
int verbena_gradients_free(verbena_gradients *gradients);

/*
 * Where the gradient of parameter index belongs: valid as long as the handle and the communicator of all ranks are open. Write it before verbena_gradient_ready; read
 * it after the wait.
 */
void *verbena_gradient_data(verbena_gradients *gradients, int64_t index);

/* Says that a gradient is final for this step: full buckets start to travel. Returns at once, unless 256 buckets are under way. */
int verbena_gradient_ready(verbena_gradients *gradients, int64_t index);

/* Says that a parameter took no part in this step: its gradient is set to zero, and travels. */
int verbena_gradient_unused(verbena_gradients *gradients, int64_t index);

/* Says that no gradient will be announced any more in this step; needed only where some were not, and are waited for one after the other. */
int verbena_gradients_end_backward(verbena_gradients *gradients);

/* Gives this rank's gradients of the coming step a weight: the result is the weighted mean. Collective; before the step's first announcement. */
int verbena_gradients_set_weight(verbena_gradients *gradients, double weight);

/*
 * Between these two calls announcements start nothing: the gradients of these backward passes stay here, and the caller adds up what belongs together.
 * Errors of the first: VERBENA_CONFIGURATION inside a step.
 */
int verbena_gradients_begin_without_synchronization(verbena_gradients *gradients);
int verbena_gradients_end_without_synchronization(verbena_gradients *gradients);

/* Waits until the gradient of a parameter holds the result. When all were waited for, the step is over. */
int verbena_gradient_wait(verbena_gradients *gradients, int64_t index);

/* Ends the backward pass, waits for every gradient and closes the step. report: receives where its time went; NULL where that is not wanted. */
int verbena_gradients_synchronize(verbena_gradients *gradients, struct verbena_step_report *report);

/* 1 where any rank used the parameter in the last step, else 0. Errors: VERBENA_CONFIGURATION without allows_unused. */
int verbena_gradient_was_used(verbena_gradients *gradients, int64_t index);

/* Writes by which plan gradients travel, what it should cost and what it does, in a few lines. As verbena_explain; this rank's own affair. */
int64_t verbena_gradients_explain(verbena_gradients *gradients, char *text, int64_t capacity);

#ifdef __cplusplus
}
#endif

#endif
