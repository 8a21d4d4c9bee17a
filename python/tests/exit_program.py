"""What the ends of test_torch.py's ranks do. A program of its own: its exit handler stands before verbena is imported, as where verbena comes with
``init_process_group``."""

import atexit
import sys

import torch
import torch.distributed as dist


def meet() -> None:
    if dist.get_rank() == 0:
        dist.send(torch.ones(3), 1)
    else:
        dist.recv(torch.zeros(3), 0)


def leave() -> None:
    if sys.argv[1] == "handler":
        meet()
        meet()
    dist.destroy_process_group()
    print("left in order", flush=True)


atexit.register(leave)

import verbena.torch  # noqa: E402

dist.init_process_group("verbena")
tensor = torch.ones(3)
if sys.argv[1] == "queued":
    # Both ends are on their way when the program ends; its handler waits for them.
    kept = dist.isend(tensor, 1) if dist.get_rank() == 0 else dist.irecv(tensor, 0)
else:
    meet()
