"""Products that take turns: which do, and when a tile's turn is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algo.export import build_step
from algo.models import digits_network
from hw import isa
from hw.compile_kernel import SEGMENT, compile_kernel
from hw.compile_pixels import joined, turns
from hw.config import load_config
from hw.tiling import ProductPlan, pixel_tiles

TINY, Z7020 = load_config("tiny"), load_config("z7020")


def plan(images, height, most):
    """Tiles of at most `most` rows: whole images where they fit."""
    return ProductPlan(pixel_tiles(images, height, 1, lambda n, rows: n * rows <= most, "a product"), [], [])


def rows_of(tile, height):
    """The rows of a tile, numbered through all images."""
    first = tile.image0 * height + tile.row0
    return range(first, first + (tile.images - 1) * height + tile.rows)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(1, 9), st.integers(1, 12), st.lists(st.integers(1, 60), min_size=1, max_size=3))
def test_a_tile_comes_as_soon_as_what_it_adds_is_out(images, height, most):
    plans = {7 + number: plan(images, height, rows) for number, rows in enumerate(most)}
    order = turns(plans, dict.fromkeys(plans, height))
    assert {position: [tile for at, tile in order if at == position] for position in plans} == {
        position: one.tiles for position, one in plans.items()
    }
    out = dict.fromkeys(plans, 0)
    for number, (position, tile) in enumerate(order):
        rows = rows_of(tile, height)
        before = out.get(position - 1, images * height)
        assert out[position] == rows.start and before >= rows.stop
        if position == 7:
            ahead = {at: [t for p, t in order[number:] if p == at] for at in list(plans)[1:]}
            assert not any(left and rows_of(left[0], height).stop <= out[at - 1] for at, left in ahead.items()), "one is late"
        out[position] = rows.stop


def test_gradients_of_two_branches_take_turns():
    nodes = build_step(digits_network(0), (1, 8, 8), 32).segments["backward"]
    found = joined(nodes)
    assert [position for one in found for position in one] == list(range(len(nodes)))
    (together,) = [[nodes[position].name for position in one] for one in found if len(one) > 1]
    assert together == ["blocks.0.bn2.grad.0", "blocks.0.bn2.grad"]


@pytest.mark.parametrize("images, most", [(1, 1), (4, 2)])
def test_an_array_instruction_waits_for_few_images(images, most):
    """16 x 16 pixels, of which 512 are waited for; one load and one instruction for each of two channel groups."""
    kernel = compile_kernel("forward", images, 32, 32, 16, 16, 3, 1, 1, Z7020)
    code = kernel.program.code[SEGMENT]
    found = [isa.decode(code[at : at + isa.INSTRUCTION_BYTES]) for at in range(0, len(code), isa.INSTRUCTION_BYTES)]
    loads = [one.fields for one in found if one.op == "load" and isa.MEMORIES[one.fields["mem"]].name == "A"]
    arrays = [one.fields for one in found if one.op == "array"]
    assert {one["n_img"] for one in loads} == {most} and {one["n_grp"] for one in loads} == {1}
    assert len(loads) == 2 * images // most
    assert [one["n_img"] for one in arrays[: len(loads)]] == [most] * len(loads)
