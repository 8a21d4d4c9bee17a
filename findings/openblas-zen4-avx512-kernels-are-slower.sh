#!/usr/bin/env bash
# OpenBLAS 0.3.34: on AMD Zen 4 it chooses its AVX-512 kernels, and its own AVX2 kernels are up to 1.6 times as fast at a training step's shapes.
#
# One would guess that the library's own choice is the fastest, and that AVX-512 beats AVX2 where there is both. Zen 4 runs AVX-512 in two halves, so it
# gains little by it: a batch of 32 rows through a layer of 1024 x 1024 whose weights lie transposed takes 1.6
# times as long as with OPENBLAS_CORETYPE=Haswell (large square products are about equal). 0.3.21 of Debian 12 does the same.
#
# Needs python3 with venv, the Python package registry and a CPU of AMD's family 25 with AVX-512 (Zen 4); about 20 s. Exit status: 0 seen as
# described, 1 changed, 2 could not be tried.
set -euo pipefail

grep -q '^vendor_id.*AuthenticAMD' /proc/cpuinfo && grep -q '^cpu family.*: 25$' /proc/cpuinfo && grep -qw avx512vl /proc/cpuinfo || {
  echo 'this CPU is no Zen 4'
  exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
{
  python3 -m venv "$folder/venv"
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check scipy-openblas32==0.3.34.481.3
} || exit 2

cat >"$folder/product.py" <<'PROGRAM'
import ctypes
import time

import scipy_openblas32

library = ctypes.CDLL(scipy_openblas32.get_lib_dir() + "/libscipy_openblas.so")
library.scipy_openblas_get_corename.restype = ctypes.c_char_p
library.scipy_openblas_set_num_threads(1)
rows, columns, depth = 32, 1024, 1024
left = (ctypes.c_float * (rows * depth))(*[1.0] * (rows * depth))
right = (ctypes.c_float * (columns * depth))(*[1.0] * (columns * depth))
product = (ctypes.c_float * (rows * columns))()
one, zero = ctypes.c_float(1), ctypes.c_float(0)
best = 1e9
for _ in range(200):
    start = time.perf_counter()
    library.scipy_cblas_sgemm(101, 111, 112, rows, columns, depth, one, left, depth, right, depth, zero, product, columns)
    best = min(best, time.perf_counter() - start)
assert product[0] == depth
print(library.scipy_openblas_get_corename().decode(), round(2e-9 * rows * columns * depth / best, 1))
PROGRAM

run() { env -u OPENBLAS_CORETYPE "$@" "$folder/venv/bin/python" "$folder/product.py"; }
# In turns, and the best of each: the machine may be shared.
chosen='' other=''
for _ in 1 2 3; do
  chosen+="$(run env) "$'\n' other+="$(run env OPENBLAS_CORETYPE=Haswell)"$'\n'
done
best() { sort -k2 -n <<<"$1" | tail -n 1; }
echo "32 x 1024 x 1024 in fp32, one thread, OpenBLAS 0.3.34, GFLOP/s"
echo "chosen by the library:        $(best "$chosen")"
echo "OPENBLAS_CORETYPE=Haswell:    $(best "$other")"
if [[ $(best "$chosen") == SkylakeX* ]] && awk -v a="$(best "$chosen")" -v b="$(best "$other")" \
  'BEGIN { split(a, x, " "); split(b, y, " "); exit !(y[2] > 1.2 * x[2]) }'; then
  echo 'as described: the kernels that it did not choose are faster'
else
  echo 'changed: the choice, or the speed'
  exit 1
fi
