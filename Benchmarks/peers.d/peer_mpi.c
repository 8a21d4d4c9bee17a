// Any MPI: compiled by each one's own compiler wrapper.
#include "measure.h"

#include <mpi.h>
#include <stdio.h>

static int allreduce(float *buffer, size_t count) {
    return MPI_Allreduce(MPI_IN_PLACE, buffer, (int)count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD) != MPI_SUCCESS;
}

int main(int count, char **arguments) {
    int rank, ranks;
    MPI_Init(&count, &arguments);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    int status = measure(rank, ranks, allreduce, NULL, count - 1, arguments + 1);
    if (status != 0) MPI_Abort(MPI_COMM_WORLD, status);
    MPI_Finalize();
    return 0;
}
