"""A network with more channels than the table memory of the smallest configuration has room for."""

from __future__ import annotations

import torch
from torch import nn


class Wide(nn.Module):
    """80 and 90 channels with batch norm, a bias, a depthwise convolution, an addition: tables of up to 1260 words."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 80, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(80)
        self.relu = nn.ReLU()
        self.depthwise = nn.Conv2d(80, 80, 3, 2, 1, groups=80)
        self.conv2 = nn.Conv2d(80, 90, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(90)
        self.bn3 = nn.BatchNorm2d(90)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(90, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(self.depthwise(x)))
        return self.linear(self.flatten(self.pool(self.bn3(self.relu(x)) + x)))
