#include "CVerbs.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

// The header makes macros of these.
#undef ibv_query_port
#undef ibv_reg_mr

/// Every function of the libraries that this program calls, those included that the header's inline functions call: the library it is of, what it returns, its
/// name, its parameters, and their names once more.
#define FUNCTIONS(IN) \
    IN(ibverbs, void, ibv_ack_async_event, (struct ibv_async_event *event), (event)) \
    IN(ibverbs, void, ibv_ack_cq_events, (struct ibv_cq *queue, unsigned count), (queue, count)) \
    IN(ibverbs, struct ibv_pd *, ibv_alloc_pd, (struct ibv_context *context), (context)) \
    IN(ibverbs, int, ibv_close_device, (struct ibv_context *context), (context)) \
    IN(ibverbs, struct ibv_comp_channel *, ibv_create_comp_channel, (struct ibv_context *context), (context)) \
    IN(ibverbs, struct ibv_cq *, ibv_create_cq, \
       (struct ibv_context *context, int depth, void *own, struct ibv_comp_channel *channel, int vector), (context, depth, own, channel, vector)) \
    IN(ibverbs, struct ibv_qp *, ibv_create_qp, (struct ibv_pd *domain, struct ibv_qp_init_attr *attributes), (domain, attributes)) \
    IN(ibverbs, int, ibv_dealloc_pd, (struct ibv_pd *domain), (domain)) \
    IN(ibverbs, int, ibv_dereg_mr, (struct ibv_mr *region), (region)) \
    IN(ibverbs, int, ibv_destroy_comp_channel, (struct ibv_comp_channel *channel), (channel)) \
    IN(ibverbs, int, ibv_destroy_cq, (struct ibv_cq *queue), (queue)) \
    IN(ibverbs, int, ibv_destroy_qp, (struct ibv_qp *pair), (pair)) \
    IN(ibverbs, const char *, ibv_event_type_str, (enum ibv_event_type event), (event)) \
    IN(ibverbs, void, ibv_free_device_list, (struct ibv_device **list), (list)) \
    IN(ibverbs, int, ibv_get_async_event, (struct ibv_context *context, struct ibv_async_event *event), (context, event)) \
    IN(ibverbs, int, ibv_get_cq_event, (struct ibv_comp_channel *channel, struct ibv_cq **queue, void **own), (channel, queue, own)) \
    IN(ibverbs, struct ibv_device **, ibv_get_device_list, (int *count), (count)) \
    IN(ibverbs, const char *, ibv_get_device_name, (struct ibv_device *device), (device)) \
    IN(ibverbs, int, ibv_modify_qp, (struct ibv_qp *pair, struct ibv_qp_attr *attributes, int mask), (pair, attributes, mask)) \
    IN(ibverbs, struct ibv_context *, ibv_open_device, (struct ibv_device *device), (device)) \
    IN(ibverbs, int, ibv_query_device, (struct ibv_context *context, struct ibv_device_attr *attributes), (context, attributes)) \
    IN(ibverbs, ssize_t, _ibv_query_gid_table, \
       (struct ibv_context *context, struct ibv_gid_entry *entries, size_t capacity, uint32_t flags, size_t size), \
       (context, entries, capacity, flags, size)) \
    IN(ibverbs, int, ibv_query_port, (struct ibv_context *context, uint8_t port, struct _compat_ibv_port_attr *attributes), \
       (context, port, attributes)) \
    IN(ibverbs, int, ibv_query_qp, \
       (struct ibv_qp *pair, struct ibv_qp_attr *attributes, int mask, struct ibv_qp_init_attr *initial), (pair, attributes, mask, initial)) \
    IN(ibverbs, struct ibv_mr *, ibv_reg_mr, (struct ibv_pd *domain, void *base, size_t length, int access), (domain, base, length, access)) \
    IN(ibverbs, struct ibv_mr *, ibv_reg_mr_iova2, \
       (struct ibv_pd *domain, void *base, size_t length, uint64_t address, unsigned access), (domain, base, length, address, access)) \
    IN(ibverbs, const char *, ibv_wc_status_str, (enum ibv_wc_status status), (status)) \
    IN(rdmacm, int, rdma_accept, (struct rdma_cm_id *id, struct rdma_conn_param *parameters), (id, parameters)) \
    IN(rdmacm, int, rdma_ack_cm_event, (struct rdma_cm_event *event), (event)) \
    IN(rdmacm, int, rdma_bind_addr, (struct rdma_cm_id *id, struct sockaddr *address), (id, address)) \
    IN(rdmacm, int, rdma_connect, (struct rdma_cm_id *id, struct rdma_conn_param *parameters), (id, parameters)) \
    IN(rdmacm, struct rdma_event_channel *, rdma_create_event_channel, (void), ()) \
    IN(rdmacm, int, rdma_create_id, \
       (struct rdma_event_channel *channel, struct rdma_cm_id **id, void *own, enum rdma_port_space space), (channel, id, own, space)) \
    IN(rdmacm, void, rdma_destroy_event_channel, (struct rdma_event_channel *channel), (channel)) \
    IN(rdmacm, int, rdma_destroy_id, (struct rdma_cm_id *id), (id)) \
    IN(rdmacm, int, rdma_disconnect, (struct rdma_cm_id *id), (id)) \
    IN(rdmacm, int, rdma_establish, (struct rdma_cm_id *id), (id)) \
    IN(rdmacm, const char *, rdma_event_str, (enum rdma_cm_event_type event), (event)) \
    IN(rdmacm, int, rdma_get_cm_event, (struct rdma_event_channel *channel, struct rdma_cm_event **event), (channel, event)) \
    IN(rdmacm, __be16, rdma_get_src_port, (struct rdma_cm_id *id), (id)) \
    IN(rdmacm, int, rdma_init_qp_attr, (struct rdma_cm_id *id, struct ibv_qp_attr *attributes, int *mask), (id, attributes, mask)) \
    IN(rdmacm, int, rdma_listen, (struct rdma_cm_id *id, int backlog), (id, backlog)) \
    IN(rdmacm, int, rdma_reject, (struct rdma_cm_id *id, const void *data, uint8_t length), (id, data, length)) \
    IN(rdmacm, int, rdma_resolve_addr, (struct rdma_cm_id *id, struct sockaddr *from, struct sockaddr *to, int milliseconds), \
       (id, from, to, milliseconds)) \
    IN(rdmacm, int, rdma_resolve_route, (struct rdma_cm_id *id, int milliseconds), (id, milliseconds)) \
    IN(rdmacm, int, rdma_set_option, (struct rdma_cm_id *id, int level, int name, void *value, size_t length), (id, level, name, value, length))

/// Where each function is.
static struct {
#define POINTER(library, result, name, parameters, arguments) result(*name) parameters;
    FUNCTIONS(POINTER)
} found;

static char obstacle[512];

static void open_libraries(void) {
    static const struct {
        const char *library, *name;
        void *place;
    } wanted[] = {
#define PLACE(library, result, name, parameters, arguments) {#library, #name, &found.name},
        FUNCTIONS(PLACE)
    };
    const char *names[] = {"libibverbs.so.1", "librdmacm.so.1"};
    void *handles[2];
    for (int i = 0; i < 2; i++) {
        handles[i] = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (!handles[i]) {
            snprintf(obstacle, sizeof obstacle, "%s", dlerror());
            return;
        }
    }
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        int which = wanted[i].library[0] == 'r';
        void *address = dlsym(handles[which], wanted[i].name);
        if (!address) {
            snprintf(obstacle, sizeof obstacle, "%s has no %s, it is too old", names[which], wanted[i].name);
            return;
        }
        *(void **)wanted[i].place = address;
    }
}

const char *cverbs_open_libraries(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_libraries);
    return obstacle[0] ? obstacle : NULL;
}

// Hidden, so that the libraries go on calling their own when they call each other.
#define FORWARD(library, result, name, parameters, arguments) \
    __attribute__((visibility("hidden"))) result name parameters { \
        if (cverbs_open_libraries()) abort(); \
        return found.name arguments; \
    }
FUNCTIONS(FORWARD)
