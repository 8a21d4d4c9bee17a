#!/usr/bin/env bash
# PyTorch 2.15: a communication hook is refused where its module postpones annotations.
#
# One would guess that annotations document a hook, and that `from __future__ import annotations`, which changes nothing that runs, changes nothing here.
# DistributedDataParallel.register_comm_hook compares the annotations of the function with the classes themselves; postponed they are strings, so the same hook with
# the same, right annotations raises ValueError. Without any annotations it is taken.
#
# Needs python3 with venv and the Python package registry; PyTorch is large: some minutes.
# Exit status: 0 seen as described, 1 changed, 2 could not be tried.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
{
  python3 -m venv "$folder/venv"
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
} || exit 2

cat >"$folder/hook.py" <<'PROGRAM'
import torch
import torch.distributed as dist

BODY = """
def hook(state: object, bucket: dist.GradBucket) -> torch.futures.Future[torch.Tensor]:
    future = torch.futures.Future()
    future.set_result(bucket.buffer())
    return future
"""


def made(text):
    names = {"torch": torch, "dist": dist}
    exec(compile(text, "hook", "exec", dont_inherit=True), names)
    return names["hook"]


def answer(hook):
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2))
    try:
        model.register_comm_hook(None, hook)
        return "taken"
    except ValueError as error:
        return f"ValueError: {error}"


dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
print("torch", torch.__version__)
plain, postponed = answer(made(BODY)), answer(made("from __future__ import annotations\n" + BODY))
bare = answer(made(BODY.replace(": dist.GradBucket", "").replace(" -> torch.futures.Future[torch.Tensor]", "")))
print("annotated:          ", plain)
print("the same, postponed:", postponed)
print("not annotated:      ", bare)
dist.destroy_process_group()
print("seen" if (plain, bare) == ("taken", "taken") and postponed.startswith("ValueError") else "not seen")
PROGRAM

output=$(timeout 100 "$folder/venv/bin/python" "$folder/hook.py" 2>"$folder/err") || { cat "$folder/err"; exit 2; }
sed '$d' <<<"$output"
if [[ $(tail -n 1 <<<"$output") == seen ]]; then
  echo 'as described: postponing the annotations makes a hook refused'
else
  echo 'changed: hooks are taken or refused otherwise'
  exit 1
fi
