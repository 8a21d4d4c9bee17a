#!/usr/bin/env bash
# OpenBLAS 0.3.21 (Debian 12) and 0.3.34 (PyPI): on an Intel CPU that is newer than the library it takes kernels for SSE3, though the CPU has AVX2.
#
# One would guess that a library built for many CPUs (DYNAMIC_ARCH) looks at what the CPU can do. It looks for the model's number in a table
# first, and an Intel model that is not in there gets the oldest kernels ("Prescott"; 0.3.34 calls the same ones "Katmai"): silently, at
# a quarter of the speed where the CPU has AVX-512. For 0.3.21 these are Emerald Rapids (family 6, model 207) and Arrow Lake (198), not Sapphire
# Rapids (143); for 0.3.34 all of the new families 18 (Nova Lake) and 19 (Diamond Rapids). Nor would one guess the cure: a word in
# OPENBLAS_CORETYPE that means nothing makes the library look at the features.
#
# Needs apt-get with Debian 12's packages (downloaded, not installed), dpkg, python3 with venv, the Python package registry, x86-64; about 30 s and
# 110 MB. The CPUs are emulated by qemu-user, which has AVX2 and no AVX-512. Exit status: 0 seen as described, 1 changed, 2 could not be tried.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{
  apt-get -qq download libopenblas0-pthread=0.3.21+ds-4 qemu-user-static=1:7.2+dfsg-7+deb12u18+b3 libgfortran5=12.2.0-14+deb12u1 \
    libquadmath0=12.2.0-14+deb12u1 2>/dev/null
  for package in *.deb; do dpkg -x "$package" root; done
  python3 -m venv venv
  venv/bin/pip install --quiet --disable-pip-version-check scipy-openblas32==0.3.34.481.3
} || exit 2

libraries=$folder/root/usr/lib/x86_64-linux-gnu
old=$libraries/openblas-pthread/libopenblas.so.0
new=$(venv/bin/python -c 'import scipy_openblas32; print(scipy_openblas32.get_lib_dir())')/libscipy_openblas.so
python=$(venv/bin/python -c 'import os, sys; print(os.path.realpath(sys.executable))')
cat >kernels.py <<'PROGRAM'
import ctypes
import sys

library = ctypes.CDLL(sys.argv[1])
name = getattr(library, sys.argv[2] + "openblas_get_corename")
name.restype = ctypes.c_char_p
print(name().decode())
PROGRAM

# kernels LIBRARY PREFIX CPU [VARIABLE=VALUE]: what the library takes on that CPU.
kernels() {
  local library=$1 prefix=$2 cpu=$3
  shift 3
  env -u OPENBLAS_CORETYPE LD_LIBRARY_PATH="$libraries" "$@" timeout 60 root/usr/bin/qemu-x86_64-static \
    -cpu "max,vendor=GenuineIntel,$cpu" "$python" kernels.py "$library" "$prefix" 2>/dev/null || echo '?'
}

output=$(
  echo 'kernels on emulated Intel CPUs with AVX2 and FMA'
  for cpu in family=6,model=143 family=6,model=198 family=6,model=207; do echo "0.3.21 $cpu: $(kernels "$old" '' "$cpu")"; done
  for cpu in family=6,model=207 family=18,model=1 family=19,model=1; do echo "0.3.34 $cpu: $(kernels "$new" scipy_ "$cpu")"; done
  echo "0.3.21 family=6,model=207 OPENBLAS_CORETYPE=nonsense: $(kernels "$old" '' family=6,model=207 OPENBLAS_CORETYPE=nonsense)"
  echo "0.3.34 family=19,model=1 OPENBLAS_CORETYPE=nonsense: $(kernels "$new" scipy_ family=19,model=1 OPENBLAS_CORETYPE=nonsense)"
)
printf '%s\n' "$output"
found=$(awk 'NR > 1 { printf "%s ", $NF }' <<<"$output")
[[ $found != *'?'* ]] || exit 2
if [[ $found == 'Haswell Prescott Prescott Haswell Katmai Katmai Haswell Haswell ' ]]; then
  echo 'as described: models that the library does not know get SSE3 kernels'
else
  echo 'changed: the library chooses otherwise'
  exit 1
fi
