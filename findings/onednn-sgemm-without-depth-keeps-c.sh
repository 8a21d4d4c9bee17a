#!/usr/bin/env bash
# oneDNN 2.6.3: dnnl_sgemm with k = 0 and beta = 0 says success and leaves C as it was.
#
# One would guess zeros: C = alpha A B + beta C is 0 where there is nothing to add and beta is 0, and every BLAS gives that (OpenBLAS beside it here). So a
# rank of a data-parallel job that has no sample in a step, and multiplies the empty transpose of its inputs, keeps the gradient of the step before, and is told that
# all went well. oneDNN's documentation allows k = 0.
#
# Needs apt-get (to download, not to install), dpkg-deb and python3 with venv; about 20 s. Exit status: 0 seen as described, 1 changed, 2 could not be tried.
set -euo pipefail

readonly version=2.6.3-1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
{
  chmod 755 "$folder"
  (cd "$folder" && apt-get download -q "libdnnl2=$version" >download.log 2>&1 && dpkg-deb -x libdnnl2_*.deb dnnl)
  python3 -m venv "$folder/venv"
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check scipy-openblas32==0.3.34.481.3
} || exit 2
library=$(find "$folder/dnnl" -name 'libdnnl.so.2' | head -n 1)
[[ -n $library ]] || exit 2

cat >"$folder/product.py" <<'PROGRAM'
import ctypes
import sys

import scipy_openblas32

rows, columns, depth = 4, 8, 0
one, zero, old = ctypes.c_float(1), ctypes.c_float(0), 7.0
left, right = (ctypes.c_float * 64)(), (ctypes.c_float * 64)()


def product():
    return (ctypes.c_float * (rows * columns))(*[old] * (rows * columns))


onednn = ctypes.CDLL(sys.argv[1])
result = product()
size = ctypes.c_int64
status = onednn.dnnl_sgemm(
    ctypes.c_char(b"T"), ctypes.c_char(b"N"), size(rows), size(columns), size(depth), one, left, size(rows), right, size(columns),
    zero, result, size(columns))
print("oneDNN", status, sorted(set(result)))

blas = ctypes.CDLL(scipy_openblas32.get_lib_dir() + "/libscipy_openblas.so")
other = product()
blas.scipy_cblas_sgemm(101, 112, 111, rows, columns, depth, one, left, rows, right, columns, zero, other, columns)
print("OpenBLAS", sorted(set(other)))
sys.exit(0 if status == 0 and set(result) == {old} and set(other) == {0.0} else 1)
PROGRAM

echo 'C of 4 x 8, all 7.0 before; k = 0, beta = 0; status and values after'
if "$folder/venv/bin/python" "$folder/product.py" "$library"; then
  echo "as described: oneDNN $version reports success and keeps C, OpenBLAS 0.3.34 sets it to 0"
else
  echo 'changed: the status, or what is in C'
  exit 1
fi
