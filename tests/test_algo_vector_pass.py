"""A pass with torch operations, and the compiled loop that stands in for them, against algo.arithmetic number by number."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from algo import compiled, vector_pass
from algo.arithmetic import INT8_MAX, WIDE_MAX, above_zero, affine, noise16, saturate, split16, to_operand
from algo.step import Pass
from algo.vector_pass import Numbers
from host import provenance

KEY = 0x9ABCDEF1
PASSES = {
    "convolution": Pass("acc", "", "o", "r", sums="square", maximum="m", su=2),
    "per channel": Pass("x", "v", "o", "r", table="t", post="relu", mask_out="k", maximum="m"),
    "stochastic": Pass("acc", "v", "o", "r", mask_in="k", sums="v", maximum="m", su=7, sv=1),
    "stochastic per channel": Pass("x", "v", "o", "r", table="t", sums="square", su=1, sv=2),
    "only v": Pass("", "v", "o", "r", maximum="m"),
    "both masks": Pass("x", "v", "o", "r", table="t", post="relu", mask_in="j", mask_out="k"),
    "sign": Pass("acc", "", "o", "r", post="sign"),
    "sign above": Pass("acc", "v", "o", "r", post="sign_threshold", mask_out="k", maximum="m"),
    "soft": Pass("acc", "v", "o", "r", post="soft_threshold", maximum="m"),
    "value": Pass("acc_max_value", "", "o", "r", maximum="m"),
    "index": Pass("acc_max_index", "", "o", "r"),
    "wide": Pass("acc", "v", "o", "r", maximum="m", su=2, wide=True),
    "high": Pass("wide", "wide", "o", "r", mask_in="k", sums="square", maximum="m", byte="high"),
    "low, stochastic": Pass("wide", "wide", "o", "r", mask_in="k", sums="v", byte="low"),
}
SHAPES = [(3, 5, 4, 7), (2, 1500, 2, 1), (70, 16, 6, 6), (1, 1, 1, 1)]


def scaled(number: np.ndarray, shift: int) -> torch.Tensor:
    return torch.tensor(np.ldexp(number.astype(np.float64), -shift))


def key_tensor(key: int | None) -> torch.Tensor | None:
    return None if key is None else torch.tensor(key - (1 << 32), dtype=torch.int32)


def expected(one: Pass, u, v, a, b, d, shift: int, key: int | None, threshold: int, mask, first: int) -> dict:
    """The pass as algo.arithmetic and the stages of algo.step.Pass have it, int64."""
    n, c, h, w = (u if u is not None else v).shape
    if one.u == "acc_max_value":
        u = (u >> 8) - 128
    elif one.u == "acc_max_index":
        u = 255 - (u & 255)
    position = (first * h * w + np.arange(n * h * w)).reshape(n, 1, h, w)
    noise = None if key is None else noise16(key, position, np.arange(c).reshape(1, c, 1, 1))
    u_taken = 0 if u is None else to_operand(u, one.su)
    v_taken = 0 if v is None else to_operand(v, one.sv)
    a, b, d = (x if x.ndim == 0 else x.reshape(1, c, 1, 1) for x in (a, b, d))
    y = affine(u_taken, v_taken, a, b, d, shift, noise)
    if one.post == "relu":
        y = np.maximum(y, 0)
    elif one.post.startswith("sign"):
        y = np.sign(y) * (np.abs(y) > (threshold if one.post == "sign_threshold" else 0))
    elif one.post == "soft_threshold":
        y = np.sign(y) * np.maximum(np.abs(y) - threshold, 0)
    if mask is not None:
        y = y * mask
    out = saturate(y, WIDE_MAX if one.wide else INT8_MAX)
    if one.byte:
        out = split16(y)[one.byte == "low"]
    second = out * (v if one.sums == "v" else out)
    sums = np.stack([each.sum((0, 2, 3)) for each in (out, second)])
    above = above_zero(u_taken, v_taken, a, b, d)
    above = np.broadcast_to(above if mask is None else above & mask, out.shape)
    return {"out": out, "positive": above, "maximum": np.abs(y).max(), "sums": sums}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("run", [vector_pass.vector_pass, compiled.vector_pass], ids=["torch", "compiled"])
def test_a_pass_is_that_of_the_arithmetic(run, name, shape):
    one, rng = PASSES[name], np.random.default_rng(len(name))
    acc, wide, first = one.u.startswith("acc"), one.u == "wide", 5
    low, high = (0, 1 << 16) if "max" in one.u else (-(1 << 30), 1 << 30) if acc else (-127, 128)
    if wide:
        low, high = -(1 << 17), 1 << 17
    u = rng.integers(low, high, shape) if one.u else None
    v = rng.integers(low, high, shape) if wide else rng.integers(-127, 128, shape) if one.v else None
    a, b = rng.integers(-(1 << 17) + 1, 1 << 17, (2, shape[1]) if one.table else 2)
    d = rng.integers(-(1 << 22), 1 << 22, shape[1]) if one.table else np.int64(0)
    shift = 15 if one.wide else 35 if acc and "max" not in one.u else 17
    key, threshold = KEY if "stochastic" in name else None, 9 if "threshold" in one.post else 0
    mask = rng.integers(0, 2, shape).astype(bool) if one.mask_in else None
    wanted = expected(one, u, v, a, b, d, shift, key, threshold, mask, first)
    tensors = [None if x is None else torch.tensor(x).to(kind).contiguous(memory_format=torch.channels_last) for x, kind in (
        (u, torch.int32 if acc or wide else torch.int8), (v, torch.int32 if wide else torch.int8), (mask, torch.bool)
    )]  # fmt: skip
    limit = torch.tensor(float(threshold), dtype=torch.float64)
    numbers = Numbers(*(scaled(x, shift) for x in (a, b, d)), key_tensor(key), limit)
    found = run(one, tensors[0], tensors[1], numbers, tensors[2], first)
    np.testing.assert_array_equal(found.out.numpy(), wanted["out"])
    assert found.out.dtype == (torch.int32 if one.wide else torch.int8)
    assert len(np.unique(wanted["out"])) >= min(2, math.prod(shape))
    for field, there in (("positive", one.mask_out), ("maximum", one.maximum), ("sums", one.sums)):
        value = getattr(found, field)
        assert (value is None) == (not there)
        if there:
            np.testing.assert_array_equal(value.numpy(), wanted[field], err_msg=field)


@pytest.mark.parametrize("shift", [0, 3, 9, 16, 30, 47])
@pytest.mark.parametrize("key", [None, KEY], ids=["nearest", "stochastic"])
def test_the_largest_sums_saturate_as_integers_do(shift, key):
    """Products of 25 by 18 bits at both ends and D of 47 bits, at every shift: results, maxima up to 31 bits."""
    u = np.array([-(1 << 31), (1 << 31) - 1, -(1 << 24), (1 << 24) - 1, 1, -1, 0, 12345]).reshape(2, 1, 2, 2)
    one = Pass("acc", "", "o", "r", maximum="m")
    for a, d in ((-(1 << 17) + 1, (1 << 46) + 1), ((1 << 17) - 1, -(1 << 46)), (1, 3), (-3, 0)):
        zero = torch.zeros((), dtype=torch.float64)
        numbers = Numbers(*(scaled(np.int64(x), shift) for x in (a, 0, d)), key_tensor(key), zero)
        wanted = expected(one, u, None, *map(np.int64, (a, 0, d)), shift, key, 0, None, 0)
        for run in (vector_pass.vector_pass, compiled.vector_pass):
            found = run(one, torch.tensor(u).int(), None, numbers)
            np.testing.assert_array_equal(found.out.numpy(), wanted["out"])
            limit = (1 << 31) - 1
            assert min(int(found.maximum), limit) == min(wanted["maximum"], limit)


@pytest.mark.parametrize("run", [vector_pass.vector_pass, compiled.vector_pass], ids=["torch", "compiled"])
@pytest.mark.parametrize("key", [None, KEY], ids=["nearest", "stochastic"])
def test_a_relu_lets_gradients_pass_where_a_positive_number_rounds_to_zero(run, key):
    """As torch does: 2^-20 of a step and more is above 0, whatever int8 makes of it; 0 and what rounds to 0 from below is not."""
    one = Pass("acc", "", "o", "r", post="relu", mask_out="k")
    u = torch.tensor([-(1 << 20), -1, 0, 1, 1 << 18, 1 << 20]).int().reshape(1, 1, 2, 3)
    number = torch.tensor(2.0**-20, dtype=torch.float64)
    zero = torch.zeros((), dtype=torch.float64)
    found = run(one, u, None, Numbers(number, zero, zero, key_tensor(key), zero))
    assert found.positive.flatten().tolist() == [False, False, False, True, True, True]
    if key is None:
        assert found.out.flatten().tolist() == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("run", [vector_pass.vector_pass, compiled.vector_pass], ids=["torch", "compiled"])
def test_a_share_without_images_leaves_zeros(run):
    one = dataclasses.replace(PASSES["stochastic"], mask_out="k")
    u, v = torch.zeros((0, 4, 3, 3), dtype=torch.int32), torch.zeros((0, 4, 3, 3), dtype=torch.int8)
    zero = torch.zeros((), dtype=torch.float64)
    found = run(one, u, v, Numbers(zero, zero, zero, torch.tensor(1, dtype=torch.int32), zero), v > 0)
    assert found.out.shape == found.positive.shape == (0, 4, 3, 3)
    assert not found.maximum and found.sums.shape == (2, 4) and not found.sums.any()


def test_the_loops_are_compiled_here():
    """Where this fails, the suite says nothing of the loops: a C compiler is among what the tests need."""
    assert compiled.runs_on(torch.device("cpu")) and not compiled.runs_on(torch.device("meta"))
    assert compiled.loops().startswith("compiled C, loops-")


def test_records_say_which_loops_ran(monkeypatch):
    compiled.library.cache_clear()
    monkeypatch.setattr(compiled.shutil, "which", lambda name: None)
    assert compiled.loops() == "" and "loops" not in provenance.versions()
    assert not compiled.runs_on(torch.device("cpu"))
    assert provenance.versions()["loops"] == "torch operations"
    compiled.library.cache_clear()
