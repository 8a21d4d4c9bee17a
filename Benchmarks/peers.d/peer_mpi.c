// Any MPI: compiled by each one's own compiler wrapper.
#include "measure.h"

#include <mpi.h>
#include <stdio.h>

static int rank;

// The result of a reduce-scatter in place is at the start of its buffer, where MPI has it.
static const float *perform(const struct call *call) {
    const MPI_Comm world = MPI_COMM_WORLD;
    int count = (int)call->count, status = MPI_ERR_OTHER;
    float *output = call->output;
    const void *input = call->in_place ? MPI_IN_PLACE : call->input;
    switch (call->collective) {
    case collective_allreduce: status = MPI_Allreduce(input, output, count, MPI_FLOAT, MPI_SUM, world); break;
    case collective_reduce_scatter:
        output = call->in_place ? call->input : call->output;
        status = MPI_Reduce_scatter_block(input, output, count, MPI_FLOAT, MPI_SUM, world);
        break;
    case collective_allgather: status = MPI_Allgather(input, count, MPI_FLOAT, output, count, MPI_FLOAT, world); break;
    case collective_broadcast: status = MPI_Bcast(output, count, MPI_FLOAT, 0, world); break;
    case collective_reduce:
        status = MPI_Reduce(rank == 0 ? input : call->input, output, count, MPI_FLOAT, MPI_SUM, 0, world);
        break;
    case collective_alltoall: status = MPI_Alltoall(input, count, MPI_FLOAT, output, count, MPI_FLOAT, world); break;
    case collective_gather:
        status = MPI_Gather(rank == 0 ? input : call->input, count, MPI_FLOAT, output, count, MPI_FLOAT, 0, world);
        break;
    case collective_scatter: {
        void *received = rank == 0 && call->in_place ? MPI_IN_PLACE : output;
        status = MPI_Scatter(call->input, count, MPI_FLOAT, received, count, MPI_FLOAT, 0, world);
        break;
    }
    case collectives_count: break;
    }
    return status == MPI_SUCCESS ? output : NULL;
}

int main(int count, char **arguments) {
    int ranks;
    MPI_Init(&count, &arguments);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    int status = measure(rank, ranks, perform, NULL, NULL, count - 1, arguments + 1);
    if (status != 0) MPI_Abort(MPI_COMM_WORLD, status);
    MPI_Finalize();
    return 0;
}
