#!/usr/bin/env bash
# MPICH 5.0.2: after an MPI_Allreduce with MPI_MAX in which one rank contributes a NaN, the ranks hold different results.
#
# One would guess that all ranks end an allreduce with the same value, whatever MPI_MAX makes of a NaN: programs ask for a maximum of
# "is my loss finite?" and branch on the answer. MPICH exchanges short messages by recursive doubling and computes `a > b ? a : b` at each
# end with its own value first; a comparison with a NaN is false, so each rank keeps its partner's value. The rank with the NaN gets the
# number, the other one the NaN, and the two take different branches.
#
# Needs python3 with venv and the Python package registry; about 10 s. Exit status: 0 seen as described, 1 changed, 2 could not be tried.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
{
  python3 -m venv "$folder/venv"
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check mpich==5.0.2 mpi4py==4.1.2 numpy==2.4.6
} || exit 2

cat >"$folder/maximum.py" <<'PROGRAM'
from mpi4py import MPI
import numpy as np

world = MPI.COMM_WORLD
part = np.array([np.nan if world.rank == 0 else 1.0], np.float32)
whole = np.empty_like(part)
world.Allreduce(part, whole, MPI.MAX)
results = world.gather(float(whole[0]))
if world.rank == 0:
    print(MPI.Get_library_version().splitlines()[0])
    print("contributed: rank 0 nan, rank 1 1.0")
    print(f"maximum:     rank 0 {results[0]}, rank 1 {results[1]}")
PROGRAM

output=$(timeout 60 "$folder/venv/bin/mpiexec" -n 2 "$folder/venv/bin/python" "$folder/maximum.py") || exit 2
printf '%s\n' "$output"
if grep -qx 'maximum:     rank 0 1.0, rank 1 nan' <<<"$output"; then
  echo 'as described: the ranks disagree about the result of one allreduce'
else
  echo 'changed: the ranks no longer disagree in this way'
  exit 1
fi
