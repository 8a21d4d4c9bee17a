"""Trains by DDP, with the optimizer's state spread over the ranks (ZeroRedundancyOptimizer).

    torchrun --standalone --nproc_per_node 2 python/examples/zero.py [--backend verbena|gloo]
"""

import argparse

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="verbena")
    options = parser.parse_args()
    dist.init_process_group(options.backend)
    rank = dist.get_rank()
    torch.manual_seed(1)
    model = DistributedDataParallel(nn.Sequential(nn.Linear(32, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1)))
    optimizer = ZeroRedundancyOptimizer(model.parameters(), torch.optim.Adam, lr=1e-3)
    numbers = torch.Generator().manual_seed(rank)
    for step in range(60):
        x = torch.randn(64, 32, generator=numbers)
        loss = (model(x)[:, 0] - x.sum(1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if rank == 0 and step % 20 == 19:
            print(f"step {step + 1}: loss {loss.item():.3f}")
    # The ranks have told each other the parameters that each of them has changed: all have the same.
    total = sum(parameter.detach().double().sum() for parameter in model.parameters())
    least, most = total.clone(), total.clone()
    dist.all_reduce(least, dist.ReduceOp.MIN)
    dist.all_reduce(most, dist.ReduceOp.MAX)
    if not torch.equal(least, most):
        raise SystemExit("the ranks' parameters differ")
    if rank == 0:
        print(f"rank 0 keeps the state of {len(optimizer.optim.state)} of {len(list(model.parameters()))} parameters; all ranks' parameters are the same")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
