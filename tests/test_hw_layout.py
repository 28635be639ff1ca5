"""DDR layouts: round trips, and single elements at the places that hw/architecture.md names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw import layout
from hw.memory_map import MemoryMap, region_bytes
from hw.scratchpad import CompileError

SIZES = st.tuples(st.integers(1, 3), st.integers(1, 19), st.integers(1, 6), st.integers(1, 6))
SIDES = st.sampled_from((4, 8, 16))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(SIZES, SIDES, st.integers(0, 1000))
def test_round_trips(shape, g, seed):
    rng = np.random.default_rng(seed)
    memory = MemoryMap(g)
    arrays = {
        "activation": rng.integers(-127, 128, shape, np.int8), "index": rng.integers(0, 256, shape, np.uint8),
        "mask": rng.integers(0, 2, shape).astype(bool), "weight": rng.integers(-127, 128, shape, np.int8),
        "wide": rng.integers(-(1 << 23) + 1, 1 << 23, shape, np.int32), "table": rng.integers(-(1 << 62), 1 << 62, shape[:2]),
        "words": rng.integers(-(1 << 62), 1 << 62, shape[:1]),
    }
    for kind, array in arrays.items():
        memory.add(kind, kind, array.shape, array.shape[1] + 2 if kind == "table" else 0)
    ddr = np.zeros(memory.size, np.uint8)
    for kind, array in arrays.items():
        memory.write(ddr, kind, array)
    for kind, array in arrays.items():
        found = memory.read(ddr, kind)
        assert found.dtype == array.dtype and np.array_equal(found, array), kind


@settings(max_examples=30, deadline=None, derandomize=True)
@given(SIZES, SIDES, st.data())
def test_places_of_single_elements(shape, g, data):
    place = tuple(data.draw(st.integers(0, size - 1)) for size in shape)
    n, c, h, w = shape
    i, ch, y, x = place
    array = np.zeros(shape, np.int8)
    array[place] = 77
    assert layout.activations_to_ddr(array, g)[((((i * -(-c // g)) + ch // g) * h + y) * w + x) * g + ch % g] == 77
    assert layout.weights_to_ddr(array, g)[
        (((((i // g) * -(-c // g) + ch // g) * h + y) * w + x) * g + ch % g) * g + i % g] == 77
    pixel, words = y * w + x, -(-h * w // 8)
    bit = ((i * -(-c // g) + ch // g) * words + pixel // 8) * 8 * g + pixel % 8 * g + ch % g
    mask = layout.masks_to_ddr(array.astype(bool), g)
    assert mask[bit // 8] == 1 << bit % 8 and mask.sum() == mask[bit // 8]


def test_wide_weights_are_sign_extended_words():
    data = layout.weights_to_ddr(np.array([[[[-2]]]], np.int32), 4)
    assert data.size == region_bytes("wide", (1, 1, 1, 1), 4) == 64
    assert data[:4].tolist() == [0xFE, 0xFF, 0xFF, 0xFF] and not data[4:].any()


def test_errors():
    memory = MemoryMap(4)
    memory.add("x", "activation", (1, 2, 3, 4))
    with pytest.raises(CompileError, match="two tensors are called 'x'"):
        memory.add("x", "activation", (1, 1, 1, 1))
    with pytest.raises(CompileError, match="does not fit the 4 GiB"):
        memory.add("y", "activation", (4000, 1024, 1024, 2))
    with pytest.raises(ValueError, match="has shape"):
        memory.encode("x", np.zeros((1, 2, 3, 5), np.int8))
