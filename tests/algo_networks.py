"""Small networks that between them hold every kind of layer, for the tests of algo and of the compiler."""

from __future__ import annotations

import torch
from torch import nn


class Pooled(nn.Module):
    """Biased 5x5 convolution with ReLU, padded max-pool, 3x3 stride 2, average pool, linear on a plane."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5, padding=2)
        self.relu = nn.ReLU()
        self.pool1 = nn.MaxPool2d(3, 2, 1)
        self.conv2 = nn.Conv2d(6, 9, 3, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(9)
        self.pool2 = nn.AvgPool2d(2, 1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(9 * 2 * 2, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool1(self.relu(self.conv1(x)))
        return self.linear(self.flatten(self.pool2(self.relu(self.bn2(self.conv2(x))))))


class PreActivation(nn.Module):
    """Batch norm on the input and on forks, plain additions, a ReLU that is nobody's, two linear layers."""

    def __init__(self):
        super().__init__()
        self.bn0 = nn.BatchNorm2d(3)
        self.conv0 = nn.Conv2d(3, 8, 3, 1, (1, 0))
        self.bn1 = nn.BatchNorm2d(8)
        self.conv1 = nn.Conv2d(8, 8, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear1 = nn.Linear(8, 7)
        self.linear2 = nn.Linear(7, 4, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv0(self.bn0(x))
        x = x + self.conv1(torch.relu(self.bn1(x)))
        y = self.bn2(x)
        x = torch.add(x, y) + self.conv2(torch.relu(y))
        x = torch.flatten(self.pool(x + x), 1)
        return self.linear2(torch.relu(self.linear1(x)))


def build(kind: type[nn.Module], seed: int = 0) -> nn.Module:
    """Return a network as torch initialises it from the seed, with batch-norm parameters away from 1 and 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = kind()
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.uniform_(layer.bias, -0.3, 0.3)
    return module
