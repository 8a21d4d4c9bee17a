#pragma once
#include <errno.h>
#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>
#include <stdint.h>
#include <sys/eventfd.h>

// Only what Swift cannot say well: chained structs on the stack, macros, and results that must not be dropped.
// Every function here returns 0 or an errno value, unless it says otherwise.
//
// libibverbs and librdmacm are opened at run time, so that a program runs without them where nobody asks for a device. Their functions are called by their
// own names: libraries.c has them all, and hands each call on.
#define CVERBS_CHECKED static inline __attribute__((warn_unused_result))

/// Opens libibverbs and librdmacm, once for the process and for good; any thread. NULL, or why they cannot be used: a text that stays. Every other function
/// of the libraries may be called only after it has given NULL: it ends the process otherwise.
const char *cverbs_open_libraries(void);

/// How many receive requests one call of `cverbs_post_receives` chains together.
enum { CVERBS_RECEIVE_CHAIN = 64 };

/// Links place `index` of a chain to the one before it, unsignalled; whoever posts the chain signals its last.
static inline struct ibv_send_wr *cverbs_chain_request(struct ibv_send_wr *requests, uint32_t index, uint64_t identifier,
                                                       enum ibv_wr_opcode opcode, uint32_t immediate) {
    struct ibv_send_wr *request = &requests[index];
    *request = (struct ibv_send_wr){.wr_id = identifier, .opcode = opcode, .imm_data = htobe32(immediate)};
    if (index > 0) requests[index - 1].next = request;
    return request;
}

/// An RDMA write with immediate data in host order. `length` 0 has no scatter-gather entry; then no key is looked at. Up to
/// `inline_limit` bytes are copied when the chain is posted, not when the device gets to them.
static inline void cverbs_chain_write(struct ibv_send_wr *requests, struct ibv_sge *entries, uint32_t index, uint64_t identifier,
                                      uint64_t local_address, uint32_t local_key, uint32_t length, uint32_t inline_limit,
                                      uint64_t remote_address, uint32_t remote_key, uint32_t immediate) {
    struct ibv_send_wr *request = cverbs_chain_request(requests, index, identifier, IBV_WR_RDMA_WRITE_WITH_IMM, immediate);
    entries[index] = (struct ibv_sge){.addr = local_address, .length = length, .lkey = local_key};
    request->sg_list = &entries[index];
    request->num_sge = length == 0 ? 0 : 1;
    request->send_flags = length > 0 && length <= inline_limit ? IBV_SEND_INLINE : 0;
    request->wr.rdma.remote_addr = remote_address;
    request->wr.rdma.rkey = remote_key;
}

/// A message of no bytes with immediate data in host order.
static inline void cverbs_chain_message(struct ibv_send_wr *requests, uint32_t index, uint64_t identifier, uint32_t immediate) {
    (void)cverbs_chain_request(requests, index, identifier, IBV_WR_SEND_WITH_IMM, immediate);
}

/// Posts the first `count` requests of a chain, at least one. `posted` gets the number of those that the device took.
CVERBS_CHECKED int cverbs_post_chain(struct ibv_qp *queue_pair, struct ibv_send_wr *requests, uint32_t count, uint32_t *posted) {
    struct ibv_send_wr *refused = NULL;
    requests[count - 1].send_flags |= IBV_SEND_SIGNALED;
    int error = ibv_post_send(queue_pair, requests, &refused);
    *posted = error == 0 ? count : refused == NULL ? 0 : (uint32_t)(refused - requests);
    return error;
}

/// `count` receives without memory: they catch immediate data only.
CVERBS_CHECKED int cverbs_post_receives(struct ibv_qp *queue_pair, uint64_t identifier, uint32_t count) {
    struct ibv_recv_wr chain[CVERBS_RECEIVE_CHAIN];
    while (count > 0) {
        uint32_t length = count < CVERBS_RECEIVE_CHAIN ? count : CVERBS_RECEIVE_CHAIN;
        for (uint32_t i = 0; i < length; i++) {
            struct ibv_recv_wr *next = i + 1 < length ? &chain[i + 1] : NULL;
            chain[i] = (struct ibv_recv_wr){.wr_id = identifier, .next = next};
        }
        struct ibv_recv_wr *refused = NULL;
        int error = ibv_post_recv(queue_pair, chain, &refused);
        if (error != 0) return error;
        count -= length;
    }
    return 0;
}

/// Immediate data in host order; the union has no name that Swift could use.
static inline uint32_t cverbs_immediate(const struct ibv_wc *completion) { return be32toh(completion->imm_data); }

/// `ibv_query_port` is a macro around a compatible structure.
CVERBS_CHECKED int cverbs_query_port(struct ibv_context *context, uint8_t port, struct ibv_port_attr *attributes) {
    return ibv_query_port(context, port, attributes);
}

/// `ibv_reg_mr` is a macro as well; null with errno.
static inline struct ibv_mr *cverbs_register(struct ibv_pd *domain, void *base, size_t length) {
    return ibv_reg_mr(domain, base, length, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
}

/// A file descriptor, or -1 with errno.
static inline int cverbs_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
