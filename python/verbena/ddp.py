"""For torch's DistributedDataParallel, whatever the backend, as long as it averages."""

# DDP compares a hook's annotations with classes: they must not be postponed.
from typing import Optional

import torch
import torch.distributed as dist


def at_once(group: Optional[dist.ProcessGroup], bucket: dist.GradBucket) -> torch.futures.Future[torch.Tensor]:
    """A communication hook: ``model.register_comm_hook(None, verbena.ddp.at_once)``, or with the group of the model in place of ``None``.

    Averages a bucket as soon as it is full on the thread of backprop, which goes on afterwards; by itself DDP goes on meanwhile. That is faster where ranks have
    no cores to spare, one rank a core, say: what works beside backprop takes its core there. The averages are those of DDP to rounding, its bits where the number
    of ranks is a power of two and nothing overflows or underflows. What fails is raised by ``backward``.
    """
    tensor = bucket.buffer()
    dist.all_reduce(tensor, dist.ReduceOp.AVG, group)
    future: torch.futures.Future = torch.futures.Future()
    future.set_result(tensor)
    return future
