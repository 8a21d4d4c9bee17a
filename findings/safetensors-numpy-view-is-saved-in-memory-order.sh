#!/usr/bin/env bash
# safetensors 0.8.0: a transposed or strided NumPy array is saved with its elements in another order, without a word.
#
# One would guess that save_file followed by load_file gives the array back, or that a layout which the format cannot hold is refused
# (safetensors.torch does refuse a tensor that is not contiguous). safetensors.numpy writes the bytes as they lie in memory under the
# array's shape: a transposed weight or every second row comes back as an array of the right shape and type with the wrong numbers.
#
# Needs python3 with venv and the Python package registry; about 10 s. Exit status: 0 seen as described, 1 changed, 2 could not be tried.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
{
  python3 -m venv "$folder/venv"
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
} || exit 2

cat >"$folder/views.py" <<'PROGRAM'
import pathlib, sys
import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

print("safetensors", safetensors.__version__)
file = pathlib.Path(sys.argv[1]) / "views.safetensors"
matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
arrays = {"contiguous": matrix, "transposed": matrix.T, "every second": np.arange(6, dtype=np.float32)[::2]}
save_file(arrays, file)
loaded = load_file(file)
same = {}
for name, array in arrays.items():
    same[name] = np.array_equal(array, loaded[name])
    print(f"{name}: saved {array.tolist()}, loaded {loaded[name].tolist()}")
print("seen" if same == {"contiguous": True, "transposed": False, "every second": False} else "not seen")
PROGRAM

output=$(timeout 60 "$folder/venv/bin/python" "$folder/views.py" "$folder") || exit 1
sed '$d' <<<"$output"
if [[ $(tail -n 1 <<<"$output") == seen ]]; then
  echo 'as described: the views came back scrambled, and nothing was raised'
else
  echo 'changed: the views are saved as they are'
  exit 1
fi
