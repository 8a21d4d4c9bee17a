#!/usr/bin/env bash
# Linux 6.12, soft-RoCE (rxe): a memory region of more than 1 GiB is refused as if memory had run out, though the device says that it takes 2^64 - 1.
#
# One would guess that `max_mr_size` is the largest region, and that ENOMEM of ibv_reg_mr means what its man page and every guide say: that
# RLIMIT_MEMLOCK is too low. The device says 0xffffffffffffffff and the limit is off; 1 GiB is taken, one page more is ENOMEM, and the same
# memory in two regions is taken again. So a program must try smaller regions before it tells its user to raise a limit.
#
# Needs gcc, libibverbs-dev and ibverbs-providers (Debian 12: 44.0-2), 2 GiB of free memory, and an rxe device: where this machine has none,
# the program runs in the guest of tools/rxe. About 20 s. Exit status: 0 seen as described, 1 changed, 2 could not be tried.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/regions.c" <<'PROGRAM'
#include <errno.h>
#include <infiniband/verbs.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
int main(void) {
    struct ibv_device **list = ibv_get_device_list(NULL);
    if (!list || !list[0]) return puts("no RDMA device"), 77;
    struct ibv_context *context = ibv_open_device(list[0]);
    struct ibv_pd *domain = ibv_alloc_pd(context);
    struct ibv_device_attr attributes;
    if (ibv_query_device(context, &attributes)) return 2;
    struct rlimit limit;
    getrlimit(RLIMIT_MEMLOCK, &limit);
    printf("%s: max_mr_size %#llx, RLIMIT_MEMLOCK %s\n", ibv_get_device_name(list[0]), (unsigned long long)attributes.max_mr_size,
           limit.rlim_cur == RLIM_INFINITY ? "unlimited" : "limited");
    size_t GiB = 1ul << 30, page = 4096;
    char *memory = mmap(NULL, GiB + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int as_seen = 1;
    for (int more = 0; more < 2; more++) {
        struct ibv_mr *region = ibv_reg_mr(domain, memory, GiB + more * page, IBV_ACCESS_LOCAL_WRITE);
        printf("ibv_reg_mr of 1 GiB%s: %s\n", more ? " and a page" : "", region ? "taken" : strerror(errno));
        as_seen &= more ? !region && errno == ENOMEM : region != NULL;
        if (region) ibv_dereg_mr(region);
    }
    struct ibv_mr *two[2] = {ibv_reg_mr(domain, memory, GiB / 2, IBV_ACCESS_LOCAL_WRITE),
                             ibv_reg_mr(domain, memory + GiB / 2, GiB / 2 + page, IBV_ACCESS_LOCAL_WRITE)};
    printf("the same memory in two regions: %s\n", two[0] && two[1] ? "taken" : strerror(errno));
    return as_seen && two[0] && two[1] ? 0 : 1;
}
PROGRAM
gcc -o "$folder/regions" "$folder/regions.c" -libverbs || exit 2
cat >"$folder/try" <<'SCRIPT'
#!/bin/bash
echo "Linux $(uname -r), libibverbs1 $(dpkg-query -W -f '${Version}' libibverbs1)"
ulimit -l unlimited
exec "${0%/*}/regions"
SCRIPT
chmod +x "$folder/try"

status=0
if [[ -n $(ls /sys/class/infiniband 2>/dev/null) ]]; then
  "$folder/try" || status=$?
else
  tools/rxe run --memory 3000 --timeout 120 -- "$folder/try" || status=$?
fi
case $status in
  0) echo 'as described: more than 1 GiB is out of memory, two halves of it are not' ;;
  1) echo 'changed: regions are no longer taken and refused in this way' && exit 1 ;;
  *) exit 2 ;;
esac
