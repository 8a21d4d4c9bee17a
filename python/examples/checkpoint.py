"""Trains with parameters spread by FSDP2, saves by torch.distributed.checkpoint, loads into a new model, and goes on from there.

    torchrun --standalone --nproc_per_node 2 python/examples/checkpoint.py [--backend verbena|gloo]
"""

import argparse
import tempfile
from typing import Tuple

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as checkpoint
from torch import nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard


def build(seed: int) -> Tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(32, 256), nn.ReLU(), nn.Linear(256, 1))
    fully_shard(model, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
    return model, torch.optim.Adam(model.parameters(), 1e-3)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> float:
    for step in steps:
        numbers = torch.Generator().manual_seed(step * dist.get_world_size() + dist.get_rank())
        x = torch.randn(64, 32, generator=numbers)
        loss = (model(x)[:, 0] - x.sum(1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="verbena")
    options = parser.parse_args()
    dist.init_process_group(options.backend)
    with tempfile.TemporaryDirectory() as own:
        folder = [own]
        dist.broadcast_object_list(folder)

        model, optimizer = build(seed=1)
        train(model, optimizer, range(20))
        weights, state = get_state_dict(model, optimizer)
        checkpoint.save({"model": weights, "optimizer": state}, checkpoint_id=folder[0])
        expected = train(model, optimizer, range(20, 40))

        model, optimizer = build(seed=2)
        weights, state = get_state_dict(model, optimizer)
        checkpoint.load({"model": weights, "optimizer": state}, checkpoint_id=folder[0])
        set_state_dict(model, optimizer, model_state_dict=weights, optim_state_dict=state)
        found = train(model, optimizer, range(20, 40))
        dist.barrier()  # the folder is rank 0's, and goes with it

    if found != expected:
        raise SystemExit(f"rank {dist.get_rank()}: loss {found} after loading, {expected} without")
    if dist.get_rank() == 0:
        print(f"loss {found:.3f} after loading, as without")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
