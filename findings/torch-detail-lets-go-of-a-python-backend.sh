#!/usr/bin/env bash
# PyTorch 2.15.0: with TORCH_DISTRIBUTED_DEBUG=DETAIL every collective of a backend written in Python fails with an assertion of PyTorch's, "getBackendName is not
# implemented", unless something else of the program holds the backend.
#
# One would guess that DETAIL cannot carry a backend in Python. It can: the wrapper that compares the ranks' calls keeps the backend's half in C++, and nobody keeps the
# object in Python, whose methods are then gone. init_process_group without DETAIL keeps it. So a backend's creator has to keep what it returns for as long as the group lives.
#
# Needs python3 with venv and the Python package registry, 6 GB in the temporary folder; some minutes. Exit status: 0 seen as described, 1 changed, 2 could not be tried.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
{
  python3 -m venv "$folder/venv"
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'torch==2.15.0' numpy
} || exit 2

cat >"$folder/backend.py" <<'PY'
import os
import sys
import tempfile

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import Backend, Work

kept = []


class Done(Work):
    def wait(self, timeout=None):
        return True


class Alone(Backend):
    def getBackendName(self):
        return "alone"

    def _set_sequence_number_for_group(self):
        pass

    def _get_sequence_number_for_group(self):
        return 0

    def allreduce(self, tensors, opts=None):
        return Done()


def create(options, _):
    backend = Alone(options.group_rank, options.group_size)
    if sys.argv[1] == "kept":
        kept.append(backend)
    return backend


dist.Backend.register_backend("alone", create, extended_api=True, devices=["cpu"])
with tempfile.TemporaryDirectory() as folder:
    dist.init_process_group("alone", init_method=f"file://{folder}/store", rank=0, world_size=1)
    try:
        dist.all_reduce(torch.ones(3))
        said = "ends"
    except RuntimeError as error:
        said = "raises: " + str(error).splitlines()[0][:100]
    print(f"DETAIL {'on' if os.environ.get('TORCH_DISTRIBUTED_DEBUG') else 'off'}, backend {sys.argv[1]}: all_reduce {said}")
    sys.stdout.flush()
    expected = "raises" if sys.argv[2] == "raises" else "ends"
    os._exit(0 if said.startswith(expected) else 1)
PY
echo 'PyTorch 2.15.0'
seen() { (cd "$folder" && env ${1:+TORCH_DISTRIBUTED_DEBUG=$1} timeout 120 venv/bin/python backend.py "$2" "$3" 2>/dev/null); }
if seen '' dropped ends && seen DETAIL dropped raises && seen DETAIL kept ends; then
  echo 'as described: the wrapper keeps half of a backend'
else
  [[ $? == 1 ]] || exit 2
  echo 'changed: the lines came out otherwise'
  exit 1
fi
