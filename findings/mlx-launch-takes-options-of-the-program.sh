#!/usr/bin/env bash
# mlx.launch of mlx 0.32.4: an option of the program that has the name of one of the launcher's is taken by the launcher, wherever it stands.
#
# One would guess that a launcher reads options up to the program's name and hands on the rest, as torchrun, mpirun and srun do. mlx.launch picks
# its own options out of the whole line: `mlx.launch -n 3 program -n 1` starts one process instead of three, and the program does not get its
# `-n 1`. Nothing is said. A `--` before the program's name helps.
#
# Needs python3 with venv and the Python package registry; about 10 s. Exit status: 0 seen as described, 1 changed, 2 could not be tried.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
{
  python3 -m venv "$folder/venv"
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'mlx[cpu]==0.32.4'
} || exit 2

# shellcheck disable=SC2016 # The program expands it.
printf '#!/bin/sh\necho "rank $MLX_RANK got: $*"\n' >"$folder/program"
chmod +x "$folder/program"
launch() { (cd "$folder" && timeout 60 venv/bin/mlx.launch "$@" 2>/dev/null | sort) || exit 2; }

bare=$(launch -n 3 ./program -n 1)
parted=$(launch -n 3 -- ./program -n 1)
echo 'mlx 0.32.4'
echo 'mlx.launch -n 3 ./program -n 1:'
sed 's/^/  /' <<<"$bare"
echo 'mlx.launch -n 3 -- ./program -n 1:'
sed 's/^/  /' <<<"$parted"
if [[ $bare == 'rank 0 got: ' && $parted == $'rank 0 got: -n 1\nrank 1 got: -n 1\nrank 2 got: -n 1' ]]; then
  echo "as described: the launcher took the program's option for its own"
else
  echo 'changed: the lines came out otherwise'
  exit 1
fi
