"""Networks for 32 x 32 images: the ResNets of He et al., a small VGG, MobileNetV2, with the initialisation of He et al.

Forward multiply-accumulates per image for 10 classes: ResNet-8/14/20/38/74/110 12.5, 26.6, 40.8, 83.3, 168.2, 253.1 million; the
small VGG 615.9 million; MobileNetV2 88.0 million.
"""

from __future__ import annotations

import torch
from torch import nn

from algo.graph import ExportError
from algo.models import ResNet, seeded


def cifar_resnet(seed: int, depth: int, classes: int = 10, width: int = 16, channels: int = 3) -> nn.Module:
    """Return a ResNet of 6 n + 2 layers: three stages of n blocks with width, 2 width and 4 width channels.

    He et al., "Deep residual learning for image recognition", 2015, section 4.2, with projection shortcuts (1x1 convolutions,
    option B) where a stage begins, as E2-Train and SkipNet have them: their multiply-accumulates are those published, and on
    the array the two projections cost 0.1 % of ResNet-110, less than a zero-padded identity would save in any other part.

    Raises:
        ExportError: the depth is not 6 n + 2.
    """
    per_stage, rest = divmod(depth - 2, 6)
    if rest or per_stage < 1:
        raise ExportError(f"a CIFAR ResNet of depth {depth} is asked for; depths are 6 n + 2: 8, 14, 20, 26, 32, 38, ...")
    widths = (width, 2 * width, 4 * width)
    return _initialised(seed, lambda: ResNet(channels, widths, classes, per_stage))


class SmallVgg(nn.Module):
    """Seven layers: two 3x3 convolutions and a max-pool, three times, a hidden layer over the last plane, and the logits.

    Simonyan and Zisserman, "Very deep convolutional networks", 2014, in the size of WAGE (Wu et al., 2018) and NITI (Wang et
    al., 2020), with batch norm. The hidden layer is a 4x4 convolution to one pixel, so that batch norm may follow it.

    Args:
        width: channels of the first stage; the others have 2 and 4 times as many, the hidden layer 8 times.
    """

    def __init__(self, classes: int, width: int, channels: int):
        super().__init__()
        layers, c = [], channels
        for k in (width, 2 * width, 4 * width):
            for _ in range(2):
                layers += _layer(c, k, 3, pad=1)
                c = k
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers, *_layer(c, 8 * width, 4))
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(8 * width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, 32, 32) to logits (n, classes)."""
        return self.linear(self.flatten(self.features(x)))


def vgg_small(seed: int, classes: int = 10, width: int = 128, channels: int = 3) -> nn.Module:
    """Return the small VGG for 32 x 32 images."""
    return _initialised(seed, lambda: SmallVgg(classes, width, channels))


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise convolution, linear 1x1 projection; an identity beside them where shapes allow it.

    Args:
        c, k: channels in and out; expansion: times as many between; stride: of the depthwise convolution.
    """

    def __init__(self, c: int, k: int, expansion: int, stride: int):
        super().__init__()
        hidden = c * expansion
        layers = _layer(c, hidden, 1) if expansion > 1 else []
        layers += _layer(hidden, hidden, 3, stride, 1, groups=hidden)
        self.layers = nn.Sequential(*layers, nn.Conv2d(hidden, k, 1, bias=False), nn.BatchNorm2d(k))
        self.identity = stride == 1 and c == k

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, c, h, w) to (n, k, h / stride, w / stride)."""
        return self.layers(x) + x if self.identity else self.layers(x)


MOBILENET_STAGES = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, blocks, stride of the first one: the paper's, but for the first two strides of 2, which 32 x 32 images
cannot spare."""


class MobileNetV2(nn.Module):
    """Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", 2018, for 32 x 32 images.

    ReLU stands for ReLU6: int8 with delayed scaling bounds activations already, and the core has the one clip.

    Args:
        stages: see MOBILENET_STAGES.
        stem, head: channels of the first 3x3 and of the last 1x1 convolution.
    """

    def __init__(
        self, classes: int, stages: tuple[tuple[int, int, int, int], ...] = MOBILENET_STAGES, stem: int = 32, head: int = 1280,
        channels: int = 3,
    ):  # fmt: skip
        super().__init__()
        self.stem = nn.Sequential(*_layer(channels, stem, 3, pad=1))
        blocks, before = [], stem
        for expansion, k, count, stride in stages:
            for number in range(count):
                blocks.append(InvertedResidual(before, k, expansion, 1 if number else stride))
                before = k
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(*_layer(before, head, 1))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(head, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, h, w) to logits (n, classes)."""
        return self.linear(self.flatten(self.pool(self.head(self.blocks(self.stem(x))))))


def mobilenet_v2(seed: int, classes: int = 10, channels: int = 3) -> nn.Module:
    """Return MobileNetV2 for 32 x 32 images."""
    return _initialised(seed, lambda: MobileNetV2(classes, channels=channels))


def _layer(c: int, k: int, kernel: int, stride: int = 1, pad: int = 0, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(c, k, kernel, stride, pad, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(k), nn.ReLU()]


def _initialised(seed: int, make) -> nn.Module:
    """The module with the weights of He et al., "Delving deep into rectifiers", 2015: the gradient's variance is kept."""

    def drawn() -> nn.Module:
        module = make()
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        return module

    return seeded(seed, drawn)
