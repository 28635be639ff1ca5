"""A small residual network with two chains of blocks that can be skipped, and policies for the tests of gated blocks."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from algo.models import ResidualBlock

SHAPE, CLASSES = (3, 8, 8), 5
GATED = ("blocks.1.bn2", "blocks.2.bn2", "blocks.3.bn2", "blocks.4.bn2", "blocks.5.bn2")
SEEN = (8, 8, 8, 12, 12)
"""Channels that go into each gated block."""


class Gated(nn.Module):
    """Three blocks of 8 channels, the first of which always runs, one with a projection to 12 channels, two blocks of 12."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        blocks = [ResidualBlock(8, 8) for _ in range(3)] + [ResidualBlock(8, 12, 2)] + [ResidualBlock(12, 12) for _ in range(2)]
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(12, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.flatten(self.pool(self.blocks(self.relu(self.bn(self.conv(x)))))))


class Projected(Gated):
    """A block of 8 channels that always runs, then two whose projections read what every sample has, and what some skipped."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(ResidualBlock(8, 8), ResidualBlock(8, 12, 2), ResidualBlock(12, 12, 2))


class Biased(Projected):
    """Its projections are convolutions with a bias and no batch norm."""

    def __init__(self):
        super().__init__()
        for block in self.blocks[1:]:
            block.shortcut = nn.Conv2d(block.conv1.in_channels, 12, 1, 2)


class Fixed:
    """Gates with given decisions, bool (blocks, images at least); notes what it is asked and told."""

    def __init__(self, decisions):
        self.decisions = np.asarray(decisions, bool)
        self.asked, self.learned = [], None

    def decide(self, block, images, pooled, pixels, exponent):
        self.asked.append((block, images, pooled, pixels, exponent))
        return self.decisions[block, :images]

    def learn(self, gradients, exponents):
        self.learned = gradients, exponents

    def processor_work(self):
        return 3, 5, 2, 7


def drawn(seed: int, images: int, share: float = 0.5, blocks: int = len(GATED)) -> Fixed:
    """Return gates that let a share of the samples through, drawn from a seed."""
    return Fixed(np.random.default_rng(seed).random((blocks, images)) < share)
