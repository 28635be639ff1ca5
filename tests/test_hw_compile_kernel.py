"""Kernels on the golden units: exact for any shape, and their share of the array's slots."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algo.step import Product
from hw.compile import CLEAR
from hw.compile_kernel import KINDS, SEGMENT, compile_kernel, reference
from hw.config import load_config
from hw.golden import run_segment
from hw.scratchpad import CompileError
from hw.state import CoreState

TINY = load_config("tiny")


def run(kernel, config):
    """Return (result, state) of a kernel on a core whose accumulators hold garbage at first."""
    state = CoreState(config, kernel.program.image())
    state.acc[:] = -5
    for name in (CLEAR, SEGMENT):
        entry = kernel.program.segments[name]
        run_segment(state, entry.address, entry.count)
    return kernel.program.memory.read(state.ddr, kernel.result), state


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from(KINDS), st.integers(1, 5), st.integers(1, 14), st.integers(1, 14), st.integers(1, 15), st.integers(1, 15),
    st.integers(1, 5), st.integers(1, 3), st.integers(0, 4), st.integers(0, 100),
)
def test_kernels_are_exact(kind, n, c, k, h, w, r, stride, pad, seed):
    if min(h, w) + 2 * pad < r:
        with pytest.raises(CompileError, match="does not fit"):
            compile_kernel(kind, n, c, k, h, w, r, stride, pad, TINY, seed)
        return
    kernel = compile_kernel(kind, n, c, k, h, w, r, stride, pad, TINY, seed)
    result, state = run(kernel, TINY)
    assert np.array_equal(result, kernel.expected)
    assert not state.acc.any()
    assert state.counters["instructions"] == kernel.program.segments[SEGMENT].count


@pytest.mark.parametrize("kind, sizes", [
    ("forward", (2, 40, 9, 5, 6, 5, 1, 2)), ("grad_input", (2, 9, 40, 5, 6, 5, 1, 2)), ("grad_weight", (9, 12, 9, 9, 9, 7, 2, 3)),
    ("forward", (1, 3, 5, 30, 31, 3, 1, 1)), ("grad_input", (1, 3, 5, 31, 30, 3, 2, 1)),
    ("grad_weight", (1, 3, 5, 30, 31, 3, 1, 1)),
    ("predictor", (1, 3, 5, 30, 31, 3, 1, 1)), ("predictor", (9, 12, 9, 9, 9, 7, 2, 3)),
    ("forward", (2, 8, 8, 4, 4, 4, 1, 0)), ("grad_weight", (20, 30, 30, 1, 1, 1, 1, 0)), ("forward", (40, 30, 30, 1, 1, 1, 1, 0)),
])
def test_products_larger_than_the_memories(kind, sizes):
    """Reductions, weights, images and kernels that take several tiles each."""
    kernel = compile_kernel(kind, *sizes, TINY)
    result, _ = run(kernel, TINY)
    assert np.array_equal(result, kernel.expected)
    assert len(np.unique(kernel.expected)) > 5


@pytest.mark.parametrize("kind", KINDS[:3])
@pytest.mark.parametrize("stride", (1, 2))
def test_no_slot_is_wasted_on_z7020(kind, stride):
    config = load_config("z7020")
    kernel = compile_kernel(kind, 4, 64, 64, 16, 16, 3, stride, 1, config)
    result, state = run(kernel, config)
    assert np.array_equal(result, kernel.expected)
    slots = sum(state.counters[f"slots_{name}"] for name in KINDS[:3])
    assert slots * config.g**2 == kernel.macs


@pytest.mark.parametrize("sizes, slots", [
    ((2, 16, 16, 32, 32, 3, 1, 1), 2 * (3 * 32 * 33 + 2 * 32 * 17 + 32 * 32)),
    ((6, 32, 16, 16, 16, 3, 1, 1), 2 * 6 * 16 * (3 * 17 + 17 + 16)),
    ((4, 16, 16, 17, 16, 5, 1, 2), 4 * (10 * 17 * 17 + 2 * 16 * 18 + 17 * 16)),
    ((8, 16, 32, 16, 16, 3, 2, 1), 2 * 8 * 8 * (3 * 9 + 9 + 8)),
    ((4, 16, 16, 16, 16, 1, 1, 0), 4 * 16 * 16), ((4, 16, 16, 16, 16, 2, 2, 0), 4 * 4 * 8 * 8),
])  # fmt: skip
def test_a_predictor_takes_taps_in_pairs(sizes, slots):
    """Across columns, then down the columns that are left, then alone; images cut by rows, by images or not at all.

    A line of a pair, a row or a column, has a slot more.
    """
    config = load_config("z7020")
    kernel = compile_kernel("predictor", *sizes, config)
    result, state = run(kernel, config)
    assert np.array_equal(result, kernel.expected)
    assert state.counters["slots_grad_weight"] == slots
    assert (state.counters["macs_int4"] > 0) == (slots < kernel.macs / config.g**2)


def test_a_core_without_paired_taps_takes_them_one_by_one():
    config = replace(load_config("z7020"), pass_taps=1)
    kernel = compile_kernel("predictor", 2, 16, 16, 8, 8, 3, 1, 1, config)
    result, state = run(kernel, config)
    assert np.array_equal(result, kernel.expected)
    assert state.counters["slots_grad_weight"] == 9 * 2 * 8 * 8 and state.counters["macs_int4"] == 0


def test_a_predictor_is_not_taken_in_pairs_where_that_is_slower():
    """One column of pixels: each line's further slot would be as many as the taps that are saved, and drains come on top."""
    config = load_config("z7020")
    kernel = compile_kernel("predictor", 4, 16, 16, 16, 1, 3, 1, 1, config)
    result, state = run(kernel, config)
    assert np.array_equal(result, kernel.expected)
    assert state.counters["macs_int4"] == 0


def test_reference_is_the_adjoint():
    """<forward(x, w), g> = <x, grad_input(g, w)> = <w, grad_weight(x, g)>, in integers."""
    rng = np.random.default_rng(1)
    shape = {"x": (2, 3, 7, 6), "weight": (4, 3, 3, 3), "g": (2, 4, 4, 3)}
    x, w, g = (rng.integers(-9, 9, shape[name]) for name in ("x", "weight", "g"))
    common = ((3, 3), 2, (1, 1), (3, 7, 6), (4, 4, 3))
    forward = reference(Product("forward", "x", "weight", *common), x, w)
    assert (forward * g).sum() == (x * reference(Product("grad_input", "g", "weight", *common), g, w)).sum()
    assert (forward * g).sum() == (w * reference(Product("grad_weight", "x", "g", *common), x, g)).sum()


@pytest.mark.parametrize("arguments, message", [
    (("sideways", 1, 1, 1, 4, 4, 1, 1, 0), "no product is called"),
    (("forward", 0, 1, 1, 4, 4, 1, 1, 0), "n is 0"),
    (("forward", 1, 1, 1, 4, 4, 1, 1, -1), "pad is -1"),
    (("forward", 1, 1, 1, 4, 4, 5, 1, 0), "5 x 5 kernel does not fit"),
    (("forward", 1000, 1, 1, 4, 4, 1, 1, 0), "do not fit the image list"),
    (("forward", 1, 1, 1, 4, 1000, 1, 1, 0), "do not fit the memories"),
    (("forward", 1, 1, 1, 2000, 4, 1, 1, 0), "larger than 1023"),
    (("forward", 1, 1, 1, 40, 40, 33, 1, 0), "larger than 31"),
    (("forward", 1, 1, 1, 40, 40, 1, 16, 0), "stride 16"),
    (("forward", 1, 1, 1, 31, 31, 31, 1, 0), "a weight block"),
    (("grad_weight", 500, 1, 1, 100, 100, 1, 1, 0), "could pass 2.31 - 1; at most 13 images fit"),
    (("grad_weight", 1, 1, 1, 400, 400, 1, 1, 0), "could pass 2.31 - 1; at most 132104 pixels fit"),
    (("forward", 1, 1000, 1, 31, 31, 31, 1, 0), "sum of 961000 products could pass 2.31 - 1; at most 132104 fit"),
    (("grad_weight", 1, 1, 1, 4, 1000, 1, 1, 0), "do not fit the memories"),
    (("forward", 1, 2000, 1, 4, 4, 1, 1, 0), "more than 255 groups"),
])
def test_errors_are_one_sentence(arguments, message):
    with pytest.raises(CompileError, match=message) as error:
        compile_kernel(*arguments, TINY)
    assert "\n" not in str(error.value)
