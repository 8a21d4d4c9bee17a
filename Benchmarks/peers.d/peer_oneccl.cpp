// oneCCL; its ranks find each other through Intel MPI, whose launcher starts them.
#include "measure.h"

#include <cstdio>
#include <exception>
#include <mpi.h>
#include <oneapi/ccl.hpp>

static ccl::communicator *communicator;

static const float *allreduce(const struct call *call) {
    try {
        ccl::allreduce(call->output, call->output, call->count, ccl::reduction::sum, *communicator).wait();
        return call->output;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "oneCCL: %s\n", error.what());
        return nullptr;
    }
}

int main(int count, char **arguments) {
    int rank, ranks;
    ccl::init();
    MPI_Init(&count, &arguments);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    ccl::shared_ptr_class<ccl::kvs> store;
    ccl::kvs::address_type address;
    if (rank == 0) {
        store = ccl::create_main_kvs();
        address = store->get_address();
    }
    MPI_Bcast(address.data(), (int)address.size(), MPI_BYTE, 0, MPI_COMM_WORLD);
    if (rank != 0) store = ccl::create_kvs(address);
    int status;
    {
        auto own = ccl::create_communicator(ranks, rank, store);
        communicator = &own;
        status = measure(rank, ranks, allreduce, nullptr, nullptr, count - 1, arguments + 1);
        if (status != 0) MPI_Abort(MPI_COMM_WORLD, status);
    }
    MPI_Finalize();
    return 0;
}
