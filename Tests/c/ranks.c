/* Uses the C face as a user's program does, and checks what it gives: Tests/end-to-end/c-library and Tests/rxe/c-library run it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <verbena.h>

static int rank, ranks, failures;

static void fail(int line, const char *what) {
    const struct verbena_error *error = verbena_last_error();
    fprintf(stderr, "rank %d: line %d: %s (last error %d: %s)\n", rank, line, what, error->code, error->message);
    failures++;
}

#define CHECK(condition) ((condition) ? (void)0 : fail(__LINE__, #condition))
#define OK(call) CHECK((call) == VERBENA_OK)
/* The call fails with this code, and the error of this thread says so. */
#define FAILS(expected, call) \
    do { \
        CHECK((call) == (expected)); \
        CHECK(verbena_last_error()->code == (expected) && strlen(verbena_last_error()->message) > 10); \
    } while (0)

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void fill(float *x, int64_t count, int whose) {
    for (int64_t i = 0; i < count; i++) x[i] = (float)(100 * whose + i % 50);
}

static int is_of(const float *x, int64_t count, int whose) {
    for (int64_t i = 0; i < count; i++) {
        if (x[i] != (float)(100 * whose + i % 50)) return 0;
    }
    return 1;
}

static int is_sum(const float *x, int64_t count, double scale) {
    for (int64_t i = 0; i < count; i++) {
        double sum = 100.0 * ranks * (ranks - 1) / 2 + ranks * (double)(i % 50);
        if (x[i] < (float)(sum * scale) - 0.01f || x[i] > (float)(sum * scale) + 0.01f) return 0;
    }
    return 1;
}

static verbena_buffer *floats(verbena_communicator *all, int64_t count) {
    verbena_buffer *buffer = NULL;
    OK(verbena_allocate(all, VERBENA_FLOAT32, count, &buffer));
    return buffer;
}

/* ---- what goes well ---- */

static void check_collectives(verbena_communicator *all) {
    enum { count = 1000 };
    verbena_buffer *in = floats(all, count * ranks), *out = floats(all, count * ranks);
    float *x = verbena_buffer_data(in), *y = verbena_buffer_data(out);
    CHECK(verbena_buffer_count(in) == count * ranks && verbena_buffer_type(in) == VERBENA_FLOAT32);

    fill(x, count, rank);
    OK(verbena_all_reduce(all, in, 0, out, 0, count, VERBENA_SUM, -1));
    CHECK(is_sum(y, count, 1) && is_of(x, count, rank));
    OK(verbena_all_reduce(all, in, 0, NULL, 0, count, VERBENA_AVERAGE, 60));
    CHECK(is_sum(x, count, 1.0 / ranks));
    fill(x + 250, count / 2, rank);
    OK(verbena_all_reduce(all, in, 250, out, 500, count / 2, VERBENA_MAXIMUM, -1));
    CHECK(is_of(y + 500, count / 2, ranks - 1));

    for (int i = 0; i < ranks; i++) fill(x + i * count, count, rank);
    OK(verbena_reduce_scatter(all, in, 0, out, 0, count, VERBENA_SUM, -1));
    CHECK(is_sum(y, count, 1));
    OK(verbena_all_gather(all, in, 0, out, 0, count, -1));
    for (int i = 0; i < ranks; i++) CHECK(is_of(y + i * count, count, i));
    for (int i = 0; i < ranks; i++) fill(x + i * count, count, 10 * rank + i);
    OK(verbena_all_to_all(all, in, 0, out, 0, count, -1));
    for (int i = 0; i < ranks; i++) CHECK(is_of(y + i * count, count, 10 * i + rank));
    for (int root = 0; root < ranks; root++) {
        fill(x, count, rank);
        OK(verbena_broadcast(all, in, 0, count, root, -1));
        CHECK(is_of(x, count, root));
        fill(x, count, rank);
        OK(verbena_reduce(all, in, 0, out, 0, count, VERBENA_SUM, root, -1));
        CHECK(rank != root || is_sum(y, count, 1));
        OK(verbena_gather(all, in, 0, out, 0, count, root, -1));
        for (int i = 0; i < ranks; i++) CHECK(rank != root || is_of(y + i * count, count, i));
        for (int i = 0; i < ranks; i++) fill(x + i * count, count, 10 * rank + i);
        OK(verbena_scatter(all, in, 0, out, 0, count, root, -1));
        CHECK(is_of(y, count, 10 * root + rank));
    }
    OK(verbena_barrier(all, -1));
    OK(verbena_buffer_free(in));
    OK(verbena_buffer_free(out));
}

static void check_uneven(verbena_communicator *all) {
    enum { room = 1000 };
    verbena_buffer *in = floats(all, room), *out = floats(all, room);
    float *x = verbena_buffer_data(in), *y = verbena_buffer_data(out);
    /* Rank i has i + 1 elements, in the blocks that start at i (i + 1) / 2. */
    int64_t counts[16], from_each[16];
    for (int i = 0; i < ranks; i++) counts[i] = i + 1;
    fill(x, rank + 1, rank);
    OK(verbena_all_gather_v(all, in, 0, out, 0, counts, -1));
    for (int i = 0; i < ranks; i++) CHECK(is_of(y + i * (i + 1) / 2, i + 1, i));
    for (int64_t i = 0; i < ranks * (ranks + 1) / 2; i++) x[i] = (float)(i + rank);
    OK(verbena_reduce_scatter_v(all, in, 0, out, 0, counts, VERBENA_SUM, -1));
    for (int i = 0; i <= rank; i++) CHECK(y[i] == (float)(ranks * (rank * (rank + 1) / 2 + i) + ranks * (ranks - 1) / 2));
    for (int i = 0; i < ranks; i++) from_each[i] = rank + 1;
    for (int i = 0; i < ranks; i++) fill(x + i * (i + 1) / 2, i + 1, rank);
    OK(verbena_all_to_all_v(all, in, 0, out, 0, counts, from_each, -1));
    for (int i = 0; i < ranks; i++) CHECK(is_of(y + i * (rank + 1), rank + 1, i));
    OK(verbena_buffer_free(in));
    OK(verbena_buffer_free(out));
}

static void check_memory(verbena_communicator *all) {
    enum { count = 1000 };
    verbena_buffer *in = floats(all, count), *view = NULL;
    /* Another type of the same memory. */
    OK(verbena_buffer_view(in, VERBENA_INT64, &view));
    CHECK(verbena_buffer_count(view) == count / 2);
    int64_t *n = verbena_buffer_data(view);
    n[0] = rank + 1;
    OK(verbena_all_reduce(all, view, 0, NULL, 0, 1, VERBENA_PRODUCT, -1));
    CHECK(n[0] == (ranks == 1 ? 1 : ranks == 2 ? 2 : 6));
    OK(verbena_buffer_free(view));

    /* Memory of our own. */
    float *own = aligned_alloc(4096, 4096);
    verbena_buffer *registered = NULL;
    OK(verbena_register(all, own, VERBENA_FLOAT32, 1024, &registered));
    CHECK(verbena_buffer_data(registered) == own);
    fill(own, 1024, rank);
    OK(verbena_all_reduce(all, registered, 0, NULL, 0, 1024, VERBENA_SUM, -1));
    CHECK(is_sum(own, 1024, 1));
    OK(verbena_buffer_free(registered));

    /* Memory that nobody was told of, elsewhere on each rank. */
    verbena_buffer *whole = NULL;
    if (strcmp(verbena_fabric_name(all), "shm") == 0) {
        OK(verbena_own_memory(all, VERBENA_FLOAT32, &whole));
        int64_t place = (own + rank - (float *)verbena_buffer_data(whole));
        fill(own + rank, 1000, rank);
        OK(verbena_all_reduce(all, whole, place, NULL, 0, 1000, VERBENA_SUM, -1));
        CHECK(is_sum(own + rank, 1000, 1));
        if (ranks > 1) FAILS(VERBENA_CONFIGURATION, verbena_broadcast(all, whole, place, 1000, 0, -1));
        OK(verbena_buffer_free(whole));
    } else {
        FAILS(VERBENA_CONFIGURATION, verbena_own_memory(all, VERBENA_FLOAT32, &whole));
    }
    free(own);

    char line[400], cut[8];
    int64_t length = verbena_explain(all, VERBENA_ALL_REDUCE, 4096, VERBENA_FLOAT32, line, sizeof line);
    CHECK(length > 10 && length == (int64_t)strlen(line));
    CHECK(verbena_explain(all, VERBENA_ALL_REDUCE, 4096, VERBENA_FLOAT32, cut, sizeof cut) == length && strlen(cut) == 7);
    OK(verbena_buffer_free(in));
}

static void check_requests(verbena_communicator *all) {
    enum { count = 5000 };
    verbena_buffer *a = floats(all, count), *b = floats(all, count);
    float *x = verbena_buffer_data(a), *y = verbena_buffer_data(b);
    verbena_request *requests[2];
    int ended = -1;
    int64_t index = -2;
    fill(x, count, rank);
    fill(y, count, rank);
    OK(verbena_start_all_reduce(all, a, 0, NULL, 0, count, VERBENA_SUM, &requests[0]));
    OK(verbena_start_all_reduce(all, b, 0, NULL, 0, count, VERBENA_AVERAGE, &requests[1]));
    struct verbena_record record;
    VERBENA_INIT(record);
    FAILS(VERBENA_CONFIGURATION, verbena_request_record(requests[0], &record));
    OK(verbena_wait_any(requests, 2, 60, &index));
    CHECK(index == 0 || index == 1);
    OK(verbena_wait(requests[0], -1, NULL));
    OK(verbena_wait(requests[1], 60, &ended));
    CHECK(ended == 1 && verbena_test(requests[0]) == 1 && is_sum(x, count, 1) && is_sum(y, count, 1.0 / ranks));
    OK(verbena_wait(requests[1], -1, NULL));
    OK(verbena_request_record(requests[0], &record));
    CHECK(record.submitted > 0 && record.submitted <= record.started && record.started <= record.ended);
    OK(verbena_request_free(requests[0]));
    OK(verbena_request_free(requests[1]));
    OK(verbena_wait_any(NULL, 0, 0, &index));
    CHECK(index == -1);

    if (ranks > 1) {
        /* Once around: from the left, to the right, started and blocking. */
        int right = (rank + 1) % ranks, left = (rank + ranks - 1) % ranks;
        fill(x, count, rank);
        OK(verbena_start_receive(all, b, 1, count - 1, left, &requests[0]));
        OK(verbena_send(all, a, 1, count - 1, right, -1));
        OK(verbena_wait(requests[0], -1, NULL));
        for (int64_t i = 1; i < count; i++) CHECK(y[i] == (float)(100 * left + i % 50));
        OK(verbena_request_free(requests[0]));

        /* What cannot have ended goes on after a timeout: rank 0 begins the barrier when rank 1 has sent it a word, after its own timeout. */
        if (rank < 2) {
            int other = 1 - rank;
            if (rank == 0) OK(verbena_receive(all, a, 0, 1, other, -1));
            OK(verbena_start_barrier(all, &requests[0]));
            if (rank == 1) {
                OK(verbena_wait(requests[0], 0.02, &ended));
                CHECK(ended == 0 && verbena_test(requests[0]) == 0);
                OK(verbena_wait_any(requests, 1, 0.02, &index));
                CHECK(index == -1);
                OK(verbena_send(all, a, 0, 1, other, -1));
            }
        } else {
            OK(verbena_start_barrier(all, &requests[0]));
        }
        OK(verbena_wait(requests[0], -1, NULL));
        OK(verbena_request_free(requests[0]));
    }
    OK(verbena_buffer_free(a));
    OK(verbena_buffer_free(b));
}

static void step(verbena_gradients *gradients, int parameters, int without) {
    for (int i = parameters - 1; i >= 0; i--) {
        if (i == without) continue;
        float *gradient = verbena_gradient_data(gradients, i);
        CHECK(gradient != NULL);
        for (int j = 0; j < 10 * (i + 1); j++) gradient[j] = (float)(rank + i);
        OK(verbena_gradient_ready(gradients, i));
    }
}

static int is_average(verbena_gradients *gradients, int parameter) {
    const float *gradient = verbena_gradient_data(gradients, parameter);
    for (int j = 0; j < 10 * (parameter + 1); j++) {
        if (gradient[j] != (float)(ranks - 1) / 2 + (float)parameter) return 0;
    }
    return 1;
}

static void check_gradients(verbena_communicator *all) {
    const char *names[] = {"first", "second", "third"};
    const int64_t counts[] = {10, 20, 30};
    struct verbena_gradient_settings settings;
    struct verbena_step_report report;
    VERBENA_INIT(settings);
    VERBENA_INIT(report);
    settings.bucket_bytes = 64;
    settings.allows_unused = 1;
    verbena_gradients *gradients = NULL;
    settings.wire = "int4";
    FAILS(VERBENA_CONFIGURATION, verbena_gradients_create(all, names, counts, NULL, 3, &settings, &gradients));
    settings.wire = "fp32";
    OK(verbena_gradients_create(all, names, counts, NULL, 3, &settings, &gradients));
    for (int i = 0; i < 3; i++) {
        step(gradients, 3, -1);
        OK(verbena_gradients_synchronize(gradients, &report));
        CHECK(report.step == i && report.step_seconds > 0 && report.size == sizeof report);
        for (int j = 0; j < 3; j++) CHECK(is_average(gradients, j) && verbena_gradient_was_used(gradients, j) == 1);
    }
    /* One that nobody uses; waits one by one. */
    step(gradients, 3, 1);
    OK(verbena_gradient_unused(gradients, 1));
    for (int j = 0; j < 3; j++) OK(verbena_gradient_wait(gradients, j));
    CHECK(verbena_gradient_was_used(gradients, 1) == 0 && is_average(gradients, 0) && is_average(gradients, 2));
    /* A pass that stays here, then one that does not. */
    OK(verbena_gradients_begin_without_synchronization(gradients));
    step(gradients, 3, -1);
    OK(verbena_gradients_end_without_synchronization(gradients));
    CHECK(((float *)verbena_gradient_data(gradients, 2))[0] == (float)(rank + 2));
    step(gradients, 3, -1);
    FAILS(VERBENA_CONFIGURATION, verbena_gradients_begin_without_synchronization(gradients));
    OK(verbena_gradients_synchronize(gradients, NULL));
    CHECK(is_average(gradients, 2));
    OK(verbena_gradients_set_weight(gradients, rank == 0 ? 1 : 0));
    step(gradients, 3, -1);
    OK(verbena_gradients_end_backward(gradients));
    OK(verbena_gradients_synchronize(gradients, NULL));
    CHECK(((float *)verbena_gradient_data(gradients, 2))[0] == 2);
    char text[2000];
    CHECK(verbena_gradients_explain(gradients, text, sizeof text) > 10);
    FAILS(VERBENA_CONFIGURATION, verbena_gradient_ready(gradients, 3));
    CHECK(verbena_gradient_data(gradients, -1) == NULL && verbena_last_error()->code == VERBENA_CONFIGURATION);
    OK(verbena_gradients_free(gradients));
}

/* A child that makes no call disturbs nothing, and is left for its parent to reap. */
static void check_fork(void) {
    int status = 1;
    pid_t child = fork();
    if (child == 0) _exit(0);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* Another thread reduces in a communicator of its own meanwhile. */
static void *reduce_often(void *argument) {
    verbena_communicator *communicator = argument;
    verbena_buffer *buffer = floats(communicator, 64);
    float *x = verbena_buffer_data(buffer);
    for (int i = 0; i < 200; i++) {
        fill(x, 64, rank);
        OK(verbena_all_reduce(communicator, buffer, 0, NULL, 0, 64, VERBENA_SUM, -1));
        CHECK(is_sum(x, 64, 1));
    }
    OK(verbena_buffer_free(buffer));
    /* The error of a thread is its own. */
    FAILS(VERBENA_CONFIGURATION, verbena_all_reduce(communicator, NULL, 0, NULL, 0, 64, VERBENA_SUM, -1));
    return NULL;
}

static void check_threads(verbena_communicator *all) {
    verbena_communicator *child = NULL, *none = NULL;
    pthread_t thread;
    OK(verbena_split(all, 7, rank, &child));
    FAILS(VERBENA_CONFIGURATION, verbena_rank(NULL));
    CHECK(verbena_rank(child) == rank && verbena_world_size(child) == ranks);
    /* Memory comes from calls of all ranks, in one order: so it is taken before the threads part. */
    verbena_buffer *buffer = floats(all, 64);
    float *x = verbena_buffer_data(buffer);
    CHECK(pthread_create(&thread, NULL, reduce_often, child) == 0);
    for (int i = 0; i < 200; i++) {
        fill(x, 64, rank);
        OK(verbena_all_reduce(all, buffer, 0, NULL, 0, 64, VERBENA_SUM, -1));
        CHECK(is_sum(x, 64, 1));
    }
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(strstr(verbena_last_error()->message, "communicator is NULL") != NULL);
    OK(verbena_close(child));
    FAILS(VERBENA_CLOSED, verbena_status(child));
    OK(verbena_communicator_free(child));
    OK(verbena_split(all, rank == 0 ? 1 : -1, 0, &none));
    CHECK((none != NULL) == (rank == 0) && (rank != 0 || verbena_world_size(none) == 1));
    OK(verbena_communicator_free(none));
    OK(verbena_buffer_free(buffer));
}

/* The blocking path allocates nothing, where the library that counts is there. */
static void check_allocations(verbena_communicator *all) {
    long (*allocations)(void) = NULL;
    *(void **)&allocations = dlsym(RTLD_DEFAULT, "allocation_count");
    if (allocations == NULL) return;
    verbena_buffer *a = floats(all, 1000), *b = floats(all, 1000 * ranks);
    long fewest = -1;
    /* Of several runs the best counts: other threads of the process allocate now and then. */
    for (int run = 0; run < 5; run++) {
        long before = allocations();
        for (int i = 0; i < 100; i++) {
            OK(verbena_all_reduce(all, a, 10, NULL, 0, 100, VERBENA_SUM, 60));
            OK(verbena_all_gather(all, a, 0, b, 0, 1000, -1));
            OK(verbena_barrier(all, -1));
        }
        long now = allocations() - before;
        if (fewest < 0 || now < fewest) fewest = now;
    }
    printf("allocations of 300 operations: %ld\n", fewest);
    CHECK(fewest < 20);
    OK(verbena_buffer_free(a));
    OK(verbena_buffer_free(b));
}

/* ---- what does not ---- */

static void check_misuse(verbena_communicator *all) {
    verbena_buffer *buffer = floats(all, 100), *view = NULL, *none = NULL;
    OK(verbena_buffer_view(buffer, VERBENA_UINT8, &view));
    FAILS(VERBENA_CONFIGURATION, verbena_all_reduce(NULL, buffer, 0, NULL, 0, 1, VERBENA_SUM, -1));
    FAILS(VERBENA_CONFIGURATION, verbena_all_reduce(all, buffer, 0, NULL, 0, 101, VERBENA_SUM, -1));
    FAILS(VERBENA_CONFIGURATION, verbena_all_reduce(all, buffer, 0, NULL, 0, -1, VERBENA_SUM, -1));
    FAILS(VERBENA_CONFIGURATION, verbena_all_reduce(all, buffer, 101, NULL, 0, 0, VERBENA_SUM, -1));
    FAILS(VERBENA_CONFIGURATION, verbena_all_reduce(all, buffer, -1, NULL, 0, 0, VERBENA_SUM, -1));
    FAILS(VERBENA_CONFIGURATION, verbena_all_reduce(all, buffer, 0, NULL, 0, INT64_MAX, VERBENA_SUM, -1));
    FAILS(VERBENA_CONFIGURATION, verbena_all_reduce(all, buffer, 0, view, 0, 1, VERBENA_SUM, -1));
    FAILS(VERBENA_CONFIGURATION, verbena_all_reduce(all, buffer, 0, NULL, 0, 1, (enum verbena_reduction)9, -1));
    FAILS(VERBENA_CONFIGURATION, verbena_broadcast(all, buffer, 0, 1, ranks, -1));
    FAILS(VERBENA_CONFIGURATION, verbena_send(all, buffer, 0, 1, rank, -1));
    FAILS(VERBENA_CONFIGURATION, verbena_all_gather_v(all, buffer, 0, NULL, 0, NULL, -1));
    FAILS(VERBENA_CONFIGURATION, verbena_allocate(all, (enum verbena_type)77, 1, &none));
    FAILS(VERBENA_CONFIGURATION, verbena_allocate(all, VERBENA_FLOAT32, -1, &none));
    FAILS(VERBENA_CONFIGURATION, verbena_allocate(all, VERBENA_FLOAT32, 1, NULL));
    FAILS(VERBENA_CONFIGURATION, verbena_register(all, NULL, VERBENA_FLOAT32, 1, &none));
    FAILS(VERBENA_CONFIGURATION, verbena_register(all, (char *)verbena_buffer_data(buffer) + 1, VERBENA_FLOAT32, 1, &none));
    FAILS(VERBENA_CONFIGURATION, verbena_wait(NULL, -1, NULL));
    CHECK(none == NULL && verbena_last_error()->rank == -1 && verbena_last_error()->is_known_to_all == 0);

    /* A structure of a caller that is newer than the library, and sets what the library does not know. */
    struct { struct verbena_join_options known; int64_t unknown; } newer;
    verbena_communicator *other = NULL;
    VERBENA_INIT(newer.known);
    newer.known.size = sizeof newer;
    newer.unknown = 1;
    FAILS(VERBENA_CONFIGURATION, verbena_join(&newer.known, &other));
    newer.known.size = 3;
    FAILS(VERBENA_CONFIGURATION, verbena_join(&newer.known, &other));
    VERBENA_INIT(newer.known);
    newer.known.fabric = "token-ring";
    FAILS(VERBENA_CONFIGURATION, verbena_join(&newer.known, &other));
    newer.known.fabric = NULL;
    newer.known.world_size = 2;
    newer.known.rank = 2;
    FAILS(VERBENA_CONFIGURATION, verbena_join(&newer.known, &other));

    /* After the memory's end. */
    OK(verbena_barrier(all, -1));
    OK(verbena_buffer_release(buffer));
    FAILS(VERBENA_CLOSED, verbena_buffer_release(buffer));
    FAILS(VERBENA_CLOSED, verbena_all_reduce(all, buffer, 0, NULL, 0, 1, VERBENA_SUM, -1));
    FAILS(VERBENA_CLOSED, verbena_all_reduce(all, view, 0, NULL, 0, 1, VERBENA_SUM, -1));
    CHECK(verbena_buffer_data(buffer) == NULL && verbena_buffer_data(view) == NULL);
    OK(verbena_buffer_free(view));
    OK(verbena_buffer_free(buffer));
    OK(verbena_buffer_free(NULL));
    OK(verbena_status(all));
}

/* Every rank has the same error, and asks for it again. */
static void check_end(verbena_communicator *all, int code, int culprit, const char *word) {
    const struct verbena_error *error = verbena_last_error();
    CHECK(error->code == code && error->is_known_to_all == 1 && strstr(error->message, word) != NULL);
    CHECK(culprit < 0 || error->rank == culprit);
    FAILS(code, verbena_status(all));
    CHECK(verbena_close(all) != VERBENA_OK);
}

/* Who leaves a barrier knows that all have come to it, and are through with what they did before. Whoever is the last to leave may be met by the failure. */
static void meet(verbena_communicator *all, int code) {
    int met = verbena_barrier(all, -1);
    CHECK(met == VERBENA_OK || met == code);
}

static void check_disagreement(verbena_communicator *all) {
    verbena_buffer *buffer = floats(all, 1000);
    meet(all, VERBENA_DISAGREED);
    FAILS(VERBENA_DISAGREED, verbena_all_reduce(all, buffer, 0, NULL, 0, rank == 0 ? 10 : 11, VERBENA_SUM, -1));
    check_end(all, VERBENA_DISAGREED, -1, "operation");
    OK(verbena_buffer_free(buffer));
}

static void check_death(verbena_communicator *all) {
    verbena_buffer *buffer = floats(all, 1000);
    verbena_request *request = NULL;
    OK(verbena_all_reduce(all, buffer, 0, NULL, 0, 1000, VERBENA_SUM, -1));
    meet(all, VERBENA_DIED);
    if (rank == 1) raise(SIGKILL);
    double from = seconds();
    OK(verbena_start_all_reduce(all, buffer, 0, NULL, 0, 1000, VERBENA_SUM, &request));
    FAILS(VERBENA_DIED, verbena_wait(request, -1, NULL));
    FAILS(VERBENA_DIED, verbena_all_reduce(all, buffer, 0, NULL, 0, 1000, VERBENA_SUM, -1));
    check_end(all, VERBENA_DIED, 1, "rank 1");
    CHECK(seconds() - from < 20);
    OK(verbena_request_free(request));
    OK(verbena_buffer_free(buffer));
}

static void check_timeout(verbena_communicator *all) {
    verbena_buffer *buffer = floats(all, 1000);
    meet(all, VERBENA_STALLED);
    if (rank == 1) {
        /* It does not come, until the job has failed. */
        while (verbena_status(all) == VERBENA_OK) sched_yield();
    } else {
        FAILS(VERBENA_STALLED, verbena_all_reduce(all, buffer, 0, NULL, 0, 1000, VERBENA_SUM, 2));
    }
    /* Of three, another one may be found that late by a busy machine. */
    check_end(all, VERBENA_STALLED, ranks == 2 ? 1 : -1, "time-out");
    OK(verbena_buffer_free(buffer));
}

static void check_abort(verbena_communicator *all) {
    verbena_buffer *buffer = floats(all, 1000);
    meet(all, VERBENA_ABORTED);
    if (rank == 1) {
        OK(verbena_abort(all, "the loss is not a number"));
        OK(verbena_leave(all));
    } else {
        FAILS(VERBENA_ABORTED, verbena_all_reduce(all, buffer, 0, NULL, 0, 1000, VERBENA_SUM, -1));
        check_end(all, VERBENA_ABORTED, 1, "the loss is not a number");
    }
    OK(verbena_buffer_free(buffer));
}

static void measure(verbena_communicator *all) {
    enum { operations = 100000, runs = 9 };
    verbena_buffer *buffer = floats(all, 2);
    double best = 1e9;
    for (int run = 0; run < runs; run++) {
        double from = seconds();
        for (int i = 0; i < operations; i++) verbena_all_reduce(all, buffer, 0, NULL, 0, 2, VERBENA_SUM, -1);
        double each = (seconds() - from) / operations;
        if (each < best) best = each;
    }
    if (rank == 0) printf("8 B allreduce: %.3f us\n", best * 1e6);
    OK(verbena_buffer_free(buffer));
}

/* ---- ranks ---- */

static void nothing(int number) { (void)number; }

static int run(const char *what, int port) {
    struct verbena_join_options options;
    struct sigaction before[65], after;
    verbena_communicator *all = NULL;
    VERBENA_INIT(options);
    options.world_size = ranks;
    options.rank = rank;
    options.port = port;
    options.secret = "of a test";
    options.job_id = what;
    options.join_timeout_seconds = 100;
    signal(SIGUSR1, nothing);
    signal(SIGPIPE, nothing);
    for (int i = 1; i < 65; i++) sigaction(i, NULL, &before[i]);
    CHECK(verbena_last_error()->code == VERBENA_OK);
    if (verbena_join(&options, &all) != VERBENA_OK) return fail(__LINE__, "verbena_join"), 1;
    for (int i = 1; i < 65; i++) {
        if (sigaction(i, NULL, &after) == 0 && after.sa_handler != before[i].sa_handler) fail(__LINE__, "a signal's handler is another");
    }
    CHECK(verbena_rank(all) == rank && verbena_world_size(all) == ranks);
    CHECK(verbena_local_rank(all) == rank && verbena_local_world_size(all) == ranks);
    CHECK(strlen(verbena_fabric_name(all)) > 0 && strlen(verbena_device_name(all)) > 0 && strlen(verbena_version()) > 0);
    const char *fabric = getenv("VERBENA_FABRIC");
    CHECK(fabric == NULL || strcmp(fabric, verbena_fabric_name(all)) == 0);

    if (strcmp(what, "well") == 0) {
        check_collectives(all);
        check_fork();
        check_uneven(all);
        check_memory(all);
        check_requests(all);
        check_gradients(all);
        check_threads(all);
        check_misuse(all);
        check_allocations(all);
    } else if (strcmp(what, "measure") == 0) {
        measure(all);
    } else if (strcmp(what, "disagreement") == 0) {
        check_disagreement(all);
    } else if (strcmp(what, "death") == 0) {
        check_death(all);
    } else if (strcmp(what, "timeout") == 0) {
        check_timeout(all);
    } else if (strcmp(what, "abort") == 0) {
        check_abort(all);
    } else {
        fail(__LINE__, what);
    }
    if (strcmp(what, "well") == 0 || strcmp(what, "measure") == 0) {
        OK(verbena_status(all));
        OK(verbena_close(all));
        OK(verbena_close(all));
        FAILS(VERBENA_CLOSED, verbena_status(all));
        FAILS(VERBENA_CLOSED, verbena_barrier(all, -1));
    }
    OK(verbena_communicator_free(all));
    return failures == 0 ? 0 : 1;
}

/* ranks WHAT RANKS PORT. The ranks are children of this process, which makes no call of the library itself. */
int main(int count, char **arguments) {
    if (count != 4) return fprintf(stderr, "usage: ranks WHAT RANKS PORT\n"), 2;
    ranks = atoi(arguments[2]);
    if (ranks < 1 || ranks > 16) return fprintf(stderr, "1 to 16 ranks\n"), 2;
    pid_t second = 0, ended;
    for (rank = 0; rank < ranks; rank++) {
        pid_t child = fork();
        if (child == 0) exit(run(arguments[1], atoi(arguments[3])));
        if (rank == 1) second = child;
    }
    int bad = 0, status;
    while ((ended = wait(&status)) > 0) {
        int isMeant = strcmp(arguments[1], "death") == 0 && ended == second && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        if (!isMeant && status != 0) bad++;
    }
    return bad == 0 ? 0 : 1;
}
