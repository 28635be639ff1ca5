"""What export refuses, in one sentence each, and the layers it reads."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from algo.export import build_step, export
from algo.graph import ExportError, read_layers
from algo.sgd import Sgd

HEAD = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


def _conv(*args, **kwargs):
    return nn.Sequential(nn.Conv2d(*args, **kwargs), *HEAD)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(8, 8, 3, 1, 1), nn.Sequential(*HEAD)

    def forward(self, x):
        return self.head(self.conv(self.conv(x)))


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Sequential(*HEAD)

    def forward(self, x):
        return self.head(torch.add(x, x, alpha=2))


class Constant(Scaled):
    def forward(self, x):
        return self.head(x + 1)


class Sigmoid(Scaled):
    def forward(self, x):
        return self.head(torch.sigmoid(x))


class Unequal(Scaled):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3)

    def forward(self, x):
        return self.head(x + self.conv(x))


class Two(Scaled):
    def forward(self, x, y):
        return self.head(x + y)


def _tied():
    module = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.Conv2d(8, 8, 3, 1, 1), *HEAD)
    module[1].weight = module[0].weight
    return module


def _hooked(register):
    module = _conv(8, 8, 3)
    getattr(module[0], register)(lambda *_: None)
    return module


def _partly_evaluating():
    module = nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), *HEAD)
    module[1].eval()
    return module


CASES = [
    (_tied(), "0 and 1 share a parameter"),
    (_hooked("register_forward_hook"), "0 has a hook"),
    (_hooked("register_forward_pre_hook"), "0 has a hook"),
    (_hooked("register_full_backward_hook"), "0 has a hook"),
    (_partly_evaluating(), "1 is in eval mode and the network is not"),
    (_conv(8, 8, 3, groups=2), "0 has 2 groups of 8 and 8 channels"),
    (_conv(8, 8, 3, dilation=2), "dilation"),
    (_conv(8, 8, 3, padding="same"), "padding 'same'"),
    (_conv(8, 8, 3, padding_mode="reflect", padding=1), "padding .* of reflect"),
    (_conv(8, 8, 3, (1, 2)), r"0 has stride \(1, 2\)"),
    (_conv(8, 8, 11), "0 has a 11 x 11 kernel .* at least one result"),
    (_conv(7, 8, 3), "0 takes 7 channels; 8 arrive"),
    (nn.Sequential(nn.Dropout(), *HEAD), "0 is a Dropout; supported are Conv2d"),
    (nn.Sequential(nn.BatchNorm2d(8, affine=False), *HEAD), "0 must have affine"),
    (nn.Sequential(nn.BatchNorm2d(8, momentum=None), *HEAD), "a momentum"),
    (nn.Sequential(nn.BatchNorm2d(7), *HEAD), "0 takes 7 channels; 8 arrive"),
    (nn.Sequential(nn.MaxPool2d(2, ceil_mode=True), *HEAD), "ceil_mode"),
    (nn.Sequential(nn.AvgPool2d(3, 1, 1, count_include_pad=False), *HEAD), "count_include_pad"),
    (nn.Sequential(nn.AdaptiveAvgPool2d(2), *HEAD), r"AdaptiveAvgPool2d\(1\) is supported"),
    (nn.Sequential(nn.Linear(6, 4)), r"0 \(Linear\) follows no Flatten"),
    (nn.Sequential(nn.Flatten(), nn.Conv2d(8, 8, 1)), r"1 \(Conv2d\) follows a Flatten"),
    (nn.Sequential(nn.Flatten(2), nn.Linear(36, 4)), "flattens dimensions 2 to -1"),
    (nn.Sequential(nn.Flatten(), nn.Linear(7, 4)), "1 takes 7 features; 288 arrive"),
    (nn.Sequential(nn.Conv2d(8, 8, 3)), r"result 0 has shape \(n, 8, 4, 4\) and is not flattened; logits"),
    (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), "nothing to train"),
    (Twice(), "conv is used twice"),
    (Branching(), "cannot be traced"),
    (Scaled(), "scaled addition"),
    (Constant(), "has the operand 1"),
    (Sigmoid(), "sigmoid; supported are"),
    (Unequal(), r"adds shapes \(8, 6, 6\) and \(8, 4, 4\)"),
    (Two(), "second input y"),
    (nn.Sequential(OrderedDict([("conv 1", nn.Conv2d(8, 8, 3)), ("head", nn.Sequential(*HEAD))])), "'conv 1' has a blank"),
]


@pytest.mark.parametrize(("module", "message"), CASES)
def test_unsupported_networks_are_refused_in_one_sentence(module, message):
    with pytest.raises(ExportError, match=message) as caught:
        build_step(module, (8, 6, 6), 4)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "channels", "batch", "product"),
    [((16000, 6, 6), 8, 1, "forward"), ((8, 6, 6), 16000, 1, "grad_input"), ((8, 64, 64), 8, 64, "grad_weight")],
)
def test_sums_that_could_overflow_are_refused(shape, channels, batch, product):
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 2))
    with torch.device("meta"):
        module = nn.Sequential(nn.Conv2d(shape[0], channels, 3, 1, 1), *head)
    with pytest.raises(ExportError, match=f"0 sums .* products in {product}; 132104"):
        read_layers(module, shape, batch)


def test_the_largest_sums_that_fit_pass():
    module = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.MaxPool2d(2), *HEAD)
    layers = read_layers(module, (8, 32, 32), 128)
    assert [layer.kind for layer in layers] == ["input", "conv", "maxpool", "avgpool", "conv"]
    with pytest.raises(ExportError, match="a 32 x 32 kernel"):
        read_layers(nn.Sequential(nn.Flatten(), nn.Linear(8 * 32 * 32, 2)), (8, 32, 32), 1)


def test_a_batch_norm_over_one_value_is_refused():
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(ExportError, match="1 averages 1 values of a channel; from 2 to 132104"):
        build_step(module, (8, 6, 6), 1)


def test_wrong_images_and_parameters_are_refused():
    data = torch.zeros(2, 8, 6, 6).numpy()
    module = _conv(8, 8, 3)
    with pytest.raises(ExportError, match="images are float32"):
        export(module, data, data[:, 0, 0, 0], 0, 2, Sgd())
    nn.init.constant_(module[0].weight, float("nan"))
    with pytest.raises(ExportError, match="0.weight holds a number that is not finite"):
        export(module, data.astype("int8"), data[:, 0, 0, 0].astype(int), 0, 2, Sgd())
    for batch in (0, 2.0):
        with pytest.raises(ExportError, match=f"batch is {batch}"):
            build_step(module, (8, 6, 6), batch)


@pytest.mark.parametrize(
    ("make", "message"),
    [(lambda: nn.Sequential(nn.Flatten(), nn.Linear(288, 4)).to("meta"), "1.weight has no numbers, on the device meta"),
     (lambda: _conv(8, 8, 3, dtype=torch.complex64), "0.weight is torch.complex64; floating-point numbers")],
)  # fmt: skip
def test_parameters_that_are_no_numbers_are_refused(make, message):
    images = torch.zeros(2, 8, 6, 6, dtype=torch.int8).numpy()
    with pytest.raises(ExportError, match=message):
        export(make(), images, [0, 1], 0, 2, Sgd())


def test_whole_numbers_may_be_numpys():
    images = torch.zeros(2, 8, 6, 6, dtype=torch.int8).numpy()
    exported = export(_conv(8, 8, 3), images, [0, 1], np.int64(-5), np.int64(2), Sgd())
    assert type(exported.step.batch) is int and type(exported.state.exponents[exported.step.input]) is int


class Unused(Scaled):
    """Computes a convolution before its logits, and another behind them, that nothing reads."""

    def __init__(self):
        super().__init__()
        self.before, self.conv, self.behind = (nn.Conv2d(8, 8, 3, 1, 1) for _ in range(3))

    def forward(self, x):
        y = torch.relu(self.conv(x))
        self.before(y)
        logits = self.head(y)
        self.behind(x)
        return logits


def test_what_nothing_reads_is_no_part_of_the_step():
    layers = read_layers(Unused(), (8, 6, 6), 4)
    assert [layer.name for layer in layers] == ["x", "conv", "relu", "head.0", "head.2"]
    step = build_step(Unused(), (8, 6, 6), 4)
    assert step.logits == "head.2" and set(step.weights) == {"conv.weight", "head.2.weight"}


class Again(Scaled):
    """Uses a pool and a ReLU twice, gives operands by name, and names its input and a convolution as functions are named."""

    def __init__(self):
        super().__init__()
        self.x, self.relu, self.add = nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1)
        self.pool = nn.MaxPool2d(2, 1)

    def forward(self, x):
        x = self.pool(self.relu(input=self.x(input=x)))
        x = torch.relu(torch.add(x, other=x))
        return self.head(self.pool(self.relu(self.add(x))))


def test_layers_without_parameters_may_be_used_again_and_take_no_name_of_others():
    layers = read_layers(Again(), (8, 6, 6), 4)
    names = ["x_", "x", "relu", "pool", "add_", "relu_1", "add", "relu_2", "pool_1", "head.0", "head.2"]
    assert [layer.name for layer in layers] == names
    assert layers[1].inputs == ("x_",) and layers[4].inputs == ("pool", "pool") and layers[8].shape == (8, 4, 4)


class Flattened(Scaled):
    def forward(self, x):
        return self.head[2](torch.flatten(input=self.head[0](x), start_dim=1))


def test_a_network_in_eval_mode_and_tied_layers_that_are_held_are_read():
    assert build_step(_partly_evaluating().eval(), (8, 6, 6), 4).tables
    module = _tied()
    module[0].requires_grad_(False)
    module[1].requires_grad_(False)
    assert set(build_step(module, (8, 6, 6), 4).weights) == {"0.weight", "1.weight", "4.weight"}


def test_flatten_takes_its_operand_by_name():
    assert [layer.name for layer in read_layers(Flattened(), (8, 6, 6), 4)] == ["x", "head.0", "head.2"]
