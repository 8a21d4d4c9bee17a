"""The models that DDP is measured with, each with a batch of made-up samples: (module, inputs, labels)."""

import torch
from torch import nn

CLASSES = 10
TOKENS, WIDTH, CONTEXT, LAYERS = 256, 128, 64, 4


def perceptron():
    module = nn.Sequential(nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, CLASSES))
    return module, torch.randn(128, 784), torch.randint(CLASSES, (128,))


def convnet():
    module = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(64 * 5 * 5, CLASSES))
    return module, torch.randn(64, 1, 28, 28), torch.randint(CLASSES, (64,))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(TOKENS, WIDTH)
        self.places = nn.Parameter(torch.zeros(CONTEXT, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.words = nn.Linear(WIDTH, TOKENS)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(CONTEXT))

    def forward(self, text):
        return self.words(self.layers(self.tokens(text) + self.places, mask=self.mask, is_causal=True))


def transformer():
    return Transformer(), torch.randint(TOKENS, (16, CONTEXT)), torch.randint(TOKENS, (16 * CONTEXT,))


MODELS = {"mlp": perceptron, "convnet": convnet, "transformer": transformer}
