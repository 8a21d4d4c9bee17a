#!/usr/bin/env bash
# PyTorch 2.15.0: a torch.distributed backend written in Python returns a Work whose is_completed() says True, and the caller's work.is_completed() says False, for ever.
#
# One would guess that what a subclass of Work overrides is what callers get, as it is for wait() and get_future(). But the caller gets another object, of class Work,
# that hands on those two; is_completed() is answered by the base class in C++, whose flag nothing in Python sets. Who polls with it never sees the end.
# _create_work_from_future is no way out: its is_completed() is right, but its wait() returns without an error where the future has failed. get_future().done() is right in both.
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
from torch._C._distributed_c10d import Backend, Work, _create_work_from_future


class Done(Work):
    def __init__(self, tensors):
        super().__init__()
        self.tensors = tensors

    def wait(self, timeout=None):
        return True

    def is_completed(self):
        return True

    def get_future(self):
        future = torch.futures.Future()
        future.set_result(self.tensors)
        return future


class Alone(Backend):
    def getBackendName(self):
        return "alone"

    def allreduce(self, tensors, opts=None):
        return Done(tensors)


dist.Backend.register_backend("alone", lambda options, _: Alone(options.group_rank, options.group_size), extended_api=True, devices=["cpu"])
with tempfile.TemporaryDirectory() as folder:
    dist.init_process_group("alone", init_method=f"file://{folder}/store", rank=0, world_size=1)
    work = dist.all_reduce(torch.ones(3), async_op=True)
    polled = (work.wait(), work.is_completed(), work.get_future().done())
    print("a Work in Python, after its end: wait", polled[0], "is_completed", polled[1], "get_future().done()", polled[2])

    def fail(_):
        raise ValueError("it failed")

    future = torch.futures.Future()
    failing = _create_work_from_future(future.then(fail))
    future.set_result([])
    try:
        raised = failing.wait() and "nothing"
    except Exception as error:
        raised = type(error).__name__
    print("a Work of a future that failed: is_completed", failing.is_completed(), "wait raises", raised)
    sys.stdout.flush()
    os._exit(0 if polled == (True, False, True) and raised == "nothing" else 1)
PY
echo 'PyTorch 2.15.0'
if (cd "$folder" && timeout 120 venv/bin/python backend.py 2>/dev/null); then
  echo "as described: the subclass's is_completed() is asked by nobody"
else
  [[ $? == 1 ]] || exit 2
  echo 'changed: the lines came out otherwise'
  exit 1
fi
