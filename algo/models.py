"""The networks that the project trains, in plain torch.nn."""

from __future__ import annotations

import torch
from torch import nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm beside a shortcut, as in He et al., "Deep residual learning", 2015.

    Args:
        c, k: channels in and out.
        stride: of the first convolution; where it is not 1 or k differs from c, the shortcut is a 1x1 convolution.
    """

    def __init__(self, c: int, k: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(c, k, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(k)
        self.conv2 = nn.Conv2d(k, k, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(k)
        self.shortcut = nn.Identity()
        if stride != 1 or c != k:
            self.shortcut = nn.Sequential(nn.Conv2d(c, k, 1, stride, bias=False), nn.BatchNorm2d(k))
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, c, h, w) to (n, k, h / stride, w / stride)."""
        shortcut = self.shortcut(x)
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + shortcut)


class ResNet(nn.Module):
    """A 3x3 convolution, residual blocks, global average pooling and a linear layer.

    Args:
        c: channels of the images.
        widths: output channels of the stages; the first block of every stage but the first halves the plane.
        classes: logits.
        per_stage: residual blocks of a stage.
    """

    def __init__(self, c: int, widths: tuple[int, ...], classes: int, per_stage: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(c, widths[0], 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        blocks, before = [], widths[0]
        for stage, k in enumerate(widths):
            for number in range(per_stage):
                blocks.append(ResidualBlock(before, k, 2 if stage and not number else 1))
                before = k
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(widths[-1], classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, c, h, w) to logits (n, classes)."""
        x = self.blocks(self.relu(self.bn(self.conv(x))))
        return self.linear(self.flatten(self.pool(x)))


def residual_network(seed: int, c: int, widths: tuple[int, ...], classes: int = 10) -> nn.Module:
    """Return a ResNet for images of c channels, initialised from the seed."""
    return seeded(seed, lambda: ResNet(c, widths, classes))


def digits_network(seed: int, classes: int = 10) -> nn.Module:
    """Return the residual network for 8 x 8 digits, initialised from the seed."""
    return residual_network(seed, 1, (16, 32), classes)


def resnet8(seed: int) -> nn.Module:
    """Return ResNet-8 for 32 x 32 colour images: one block per stage of 16, 32 and 64 channels."""
    return residual_network(seed, 3, (16, 32, 64))


def seeded(seed: int, make) -> nn.Module:
    """Return the module that `make` initialises from this seed; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()
