"""Trains by DDP, loses a rank half way, and is started again by torchrun from its last checkpoint.

    torchrun --standalone --nproc_per_node 2 --max-restarts 1 python/examples/elastic.py CHECKPOINT [--backend verbena|gloo]

CHECKPOINT is a file that does not exist yet, where every rank can read it. Rank 1 kills itself at step 50 of the first start.
"""

import argparse
import os
import signal

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--backend", default="verbena")
    options = parser.parse_args()
    dist.init_process_group(options.backend)
    rank, restarts = dist.get_rank(), int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    torch.manual_seed(1)
    model = DistributedDataParallel(torch.nn.Sequential(torch.nn.Linear(32, 256), torch.nn.ReLU(), torch.nn.Linear(256, 1)))
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    first = 0
    if os.path.exists(options.checkpoint):
        saved = torch.load(options.checkpoint)
        model.load_state_dict(saved["model"])
        first = saved["steps"]
        if rank == 0:
            print(f"restart {restarts}: goes on after step {first}", flush=True)
    for step in range(first, 100):
        if restarts == 0 and rank == 1 and step == 50:
            os.kill(os.getpid(), signal.SIGKILL)
        x = torch.randn(64, 32, generator=torch.Generator().manual_seed(1000 * step + rank))
        loss = (model(x)[:, 0] - x.sum(1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if rank == 0 and step % 20 == 19:
            # A new file takes the old one's place at once: whoever dies meanwhile leaves one that is whole.
            torch.save({"model": model.state_dict(), "steps": step + 1}, options.checkpoint + ".new")
            os.replace(options.checkpoint + ".new", options.checkpoint)
            print(f"step {step + 1}: loss {loss.item():.3f}", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
