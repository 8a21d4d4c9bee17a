"""Trains a small transformer whose parameters are spread over the ranks by FSDP2 (fully_shard).

    torchrun --standalone --nproc_per_node 2 python/examples/fsdp.py [--backend verbena|gloo] [--bf16]
"""

import argparse

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

WORDS, WIDTH, CONTEXT = 64, 64, 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="verbena")
    parser.add_argument("--bf16", action="store_true", help="compute and exchange in bfloat16")
    options = parser.parse_args()
    dist.init_process_group(options.backend)
    rank, ranks = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(1)
    layers = [nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, dropout=0.0, batch_first=True) for _ in range(2)]
    model = nn.Sequential(nn.Embedding(WORDS, WIDTH), *layers, nn.Linear(WIDTH, WORDS))
    precision = MixedPrecisionPolicy(param_dtype=torch.bfloat16) if options.bf16 else MixedPrecisionPolicy()
    mesh = init_device_mesh("cpu", (ranks,))
    for module in [*layers, model]:
        fully_shard(module, mesh=mesh, mp_policy=precision)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    numbers = torch.Generator().manual_seed(rank)
    for step in range(60):
        text = torch.randint(WORDS, (16, CONTEXT), generator=numbers)
        loss = nn.functional.cross_entropy(model(text).float().flatten(0, 1), ((text + 1) % WORDS).flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if rank == 0 and step % 20 == 19:
            print(f"step {step + 1}: loss {loss.item():.3f}")
    if rank == 0:
        own = sum(parameter.to_local().numel() for parameter in model.parameters())
        print(f"rank 0 keeps {own} of {sum(parameter.numel() for parameter in model.parameters())} numbers")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
