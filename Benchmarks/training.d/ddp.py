"""A rank of PyTorch's DistributedDataParallel over Gloo: ddp.py RANK RANKS STORE_FILE SIZES BATCH STEPS EPOCHS.

Trains a perceptron with ReLU by SGD with momentum, on images of bytes that it draws itself, as `verbena train` does. Prints a JSON list: the samples a
second of all ranks, by epoch.
"""

import json
import sys
import time

import torch
import torch.distributed as distributed
from torch import nn

IMAGES = 20_000


def main():
    rank, ranks, store, sizes = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], [int(size) for size in sys.argv[4].split("-")]
    batch, steps, epochs = (int(word) for word in sys.argv[5:8])
    torch.set_num_threads(1)
    torch.manual_seed(1)
    distributed.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=ranks)
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    model = nn.parallel.DistributedDataParallel(nn.Sequential(*layers[:-1]))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    loss_of = nn.CrossEntropyLoss()
    pixels = torch.randint(0, 256, (IMAGES, sizes[0]), dtype=torch.uint8)
    labels = torch.randint(0, sizes[-1], (IMAGES,))
    speeds = []
    for _ in range(epochs):
        order = torch.randint(0, IMAGES, (steps, batch))
        start = time.monotonic()
        for samples in order:
            optimizer.zero_grad()
            loss = loss_of(model(pixels[samples].float().mul_(1 / 255)), labels[samples])
            loss.backward()
            optimizer.step()
        speeds.append(steps * batch * ranks / (time.monotonic() - start))
    distributed.destroy_process_group()
    if rank == 0:
        print(json.dumps(speeds))


main()
