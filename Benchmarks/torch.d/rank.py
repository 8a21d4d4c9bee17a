"""A rank that measures a backend of torch.distributed: rank.py BACKEND RANK RANKS STORE_FILE allreduce BYTES... | ddp MODEL... | parts MODEL....

Prints a JSON object. allreduce: seconds of each call, by size. ddp: seconds of each step with the exchange and without it, and the samples of a step, by model.
parts: the same as ddp, by model and by what a communication hook does with each bucket.
The order and number of calls are the same on every rank.
"""

import contextlib
import json
import sys
import time

import torch
import torch.distributed as distributed
from models import MODELS

WARM_UP_CALLS = 5
CALLS, LEAST_CALLS, SECONDS_A_SIZE = 300, 5, 0.5
#: In step 1 DDP has one bucket of everything and then cuts anew, so the first block is left out; and so is the first step of each, where ranks still meet.
BLOCKS, STEPS_A_BLOCK = 7, 6


def call(tensor, source):
    """One call on memory that was just written, as a gradient was."""
    tensor.copy_(source)
    start = time.perf_counter()
    distributed.all_reduce(tensor)
    return time.perf_counter() - start


def allreduce(size):
    source = torch.ones(size // 4)
    tensor = torch.empty_like(source)
    warm_up = [call(tensor, source) for _ in range(WARM_UP_CALLS)]
    if not bool((tensor == distributed.get_world_size()).all()):
        raise SystemExit(f"all_reduce of {size} B: the sum is wrong")
    calls = torch.tensor([min(CALLS, max(LEAST_CALLS, int(SECONDS_A_SIZE / min(warm_up))))])
    distributed.broadcast(calls, 0)
    return [call(tensor, source) for _ in range(int(calls))]


def done(tensor):
    future = torch.futures.Future()
    future.set_result(tensor)
    return future


def meets(_, bucket):
    distributed.barrier()
    return done(bucket.buffer())


def blocks(_, bucket):
    tensor = bucket.buffer().div_(distributed.get_world_size())
    distributed.all_reduce(tensor)
    return done(tensor)


#: Each does what those before it do, and something more. DDP's own way begins an operation and goes on.
HOOKS = {"nothing": lambda _, bucket: done(bucket.buffer()), "meets": meets, "blocks": blocks, "begins": None}


def ddp(name, hook=None):
    torch.manual_seed(1)
    module, inputs, labels = MODELS[name]()
    model = torch.nn.parallel.DistributedDataParallel(module)
    if hook:
        model.register_comm_hook(None, hook)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    loss_of = torch.nn.CrossEntropyLoss()
    seconds = {True: [], False: []}
    for number in range(BLOCKS):
        for exchanges in (True, False):
            distributed.barrier()
            for step in range(STEPS_A_BLOCK):
                start = time.perf_counter()
                with contextlib.nullcontext() if exchanges else model.no_sync():
                    optimizer.zero_grad()
                    loss_of(model(inputs).flatten(0, -2), labels).backward()
                    optimizer.step()
                if number > 0 and step > 0:
                    seconds[exchanges].append(time.perf_counter() - start)
    return {"exchanged": seconds[True], "alone": seconds[False], "samples": len(inputs)}


def main():
    backend, rank, ranks, store, what = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
    torch.set_num_threads(1)
    if backend == "verbena":
        import verbena.ddp
        import verbena.torch  # noqa: F401

        HOOKS["blocks"] = verbena.ddp.at_once
    distributed.init_process_group(backend, init_method="file://" + store, rank=rank, world_size=ranks)
    if what == "allreduce":
        result = {size: allreduce(int(size)) for size in sys.argv[6:]}
    elif what == "parts":
        result = {name: {does: ddp(name, hook) for does, hook in HOOKS.items()} for name in sys.argv[6:]}
    else:
        result = {name: ddp(name) for name in sys.argv[6:]}
    distributed.barrier()
    distributed.destroy_process_group()
    print(json.dumps(result))


main()
