"""Trains a small model by Hugging Face Accelerate, whose CPU launcher wants mpirun for several ranks; torchrun does as well:

    torchrun --standalone --nproc_per_node 2 python/examples/accelerate_ddp.py [--backend gloo]

Accelerate 1.15 knows no backends for CPU but Gloo and MPI, but takes a process group that is there before it.
"""

import argparse

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch.utils.data import DataLoader, TensorDataset


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend", default="verbena")
    dist.init_process_group(parser.parse_args().backend)
    accelerator = Accelerator(cpu=True)
    torch.manual_seed(1)
    x = torch.randn(2048, 32)
    data = DataLoader(TensorDataset(x, x.sum(1)), batch_size=64, shuffle=True)
    model = torch.nn.Sequential(torch.nn.Linear(32, 256), torch.nn.ReLU(), torch.nn.Linear(256, 1))
    (model, optimizer, data) = accelerator.prepare(model, torch.optim.SGD(model.parameters(), 0.05), data)
    for epoch in range(5):
        total = torch.zeros(())
        for (part, wanted) in data:
            loss = (model(part)[:, 0] - wanted).square().mean()
            optimizer.zero_grad()
            accelerator.backward(loss)
            optimizer.step()
            total += loss.detach()
        mean = accelerator.reduce(total, "mean").item() / len(data)
        accelerator.print(f"epoch {epoch + 1}: loss {mean:.3f}, {accelerator.num_processes} ranks, {dist.get_backend()}")
    right = accelerator.gather_for_metrics(((model(part)[:, 0] - wanted).abs() < 1).float().mean().reshape(1))
    accelerator.print(f"near: {right.mean().item():.2f}")
    accelerator.end_training()


if __name__ == "__main__":
    main()
