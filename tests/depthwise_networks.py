"""Small networks with depthwise convolutions, for the tests of algo and of the compiler."""

from __future__ import annotations

import torch
from torch import nn

from algo.models_cifar import MobileNetV2


class Depthwise(nn.Module):
    """Depthwise convolutions on the images, with bias, with stride, on a fork, of one pixel, and between dense ones."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3, 1, 1, groups=3, bias=False)
        self.bn0 = nn.BatchNorm2d(3)
        self.grow = nn.Conv2d(3, 6, 1)
        self.biased = nn.Conv2d(6, 6, 3, 1, 1, groups=6)
        self.relu = nn.ReLU()
        self.strided = nn.Conv2d(6, 6, (3, 5), 2, (1, 2), groups=6, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.point = nn.Conv2d(6, 6, 1, groups=6, bias=False)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(6, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.grow(self.bn0(self.first(x))))
        x = x + self.relu(self.biased(x))
        x = self.relu(self.bn1(self.strided(x)))
        return self.linear(self.flatten(self.pool(self.point(x) + x)))


class Inverted(MobileNetV2):
    """A small MobileNetV2."""

    def __init__(self):
        super().__init__(10, ((1, 6, 1, 1), (2, 6, 2, 2)), stem=6, head=20)


SHAPES = {Depthwise: (3, 9, 7), Inverted: (3, 12, 10)}
