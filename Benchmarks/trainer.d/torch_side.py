"""One rank of PyTorch on one thread: torch_side.py MODEL BATCH STEPS. Prints JSON: samples a second after the first tenth of the steps, the largest
resident memory in MiB, and the version. As rank RANK of WORLD_SIZE, as torchrun says, by DistributedDataParallel over Gloo: then rank 0 prints, and counts the
samples of all ranks.

The models are those of `verbena train --model`; images and text are drawn at random, which costs no speed.
"""

import json
import os
import resource
import sys
import time

import torch
from torch import distributed, nn
from torch.nn import functional

CONTEXT, WIDTH, HEADS, LAYERS, CHARACTERS = 64, 128, 4, 4, 65


def mlp():
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))


def convnet():
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 14 * 14, 128), nn.ReLU(), nn.Linear(128, 10))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        batch, tokens, _ = x.shape
        heads = self.qkv(self.norm1(x)).view(batch, tokens, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(heads[0], heads[1], heads[2], is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, WIDTH))
        return x + self.down(functional.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.characters, self.places = nn.Embedding(CHARACTERS, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CHARACTERS)

    def forward(self, text):
        return self.head(self.norm(self.blocks(self.characters(text) + self.places.weight))).flatten(0, 1)


def main():
    name, batch, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    torch.manual_seed(1)
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if ranks > 1:
        distributed.init_process_group("gloo")
    if name == "transformer":
        model = Transformer()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        inputs = torch.randint(0, CHARACTERS, (1024, CONTEXT))
        labels = torch.randint(0, CHARACTERS, (1024, CONTEXT))
    else:
        model = {"mlp": mlp, "convnet": convnet}[name]()
        if name == "convnet":
            # The layout in which PyTorch's convolutions are faster.
            model = model.to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        inputs = torch.randint(0, 256, (10_000, 784), dtype=torch.uint8)
        labels = torch.randint(0, 10, (10_000,))
    if ranks > 1:
        model = nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
    start, first = 0, 0
    for step in range(steps):
        if step == (steps + 9) // 10:
            start, first = time.monotonic(), step
        samples = torch.randint(0, len(inputs), (batch,))
        chosen = inputs[samples]
        if name != "transformer":
            chosen = chosen.float().mul_(1 / 255)
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(chosen), labels[samples].flatten())
        loss.backward()
        optimizer.step()
    seconds = time.monotonic() - start
    if ranks > 1:
        is_lead = distributed.get_rank() == 0
        distributed.destroy_process_group()
        if not is_lead:
            return
    print(json.dumps({
        "samplesPerSecond": (steps - first) * batch * ranks / seconds,
        "memoryMebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "version": torch.__version__}))


main()
