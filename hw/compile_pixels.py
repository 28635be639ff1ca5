"""Products that yield pixels, with the passes behind them, tile by tile.

Where a product's pass adds what the product before it makes (the gradients of two branches of a network), the two take turns:
a tile of the second comes as soon as the tiles of the first that cover it are out. A projection's product, which asks for
little of the array and for much of the memory, so finds its time beside one of many taps.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace

from algo.step import Compute, Node
from hw.compile_pass import Chain, emit_chain
from hw.compile_product import called, emit_pixels, room
from hw.compile_table import Tables
from hw.config import Config
from hw.emit import Part, Segment
from hw.tiling import PixelTile, ProductPlan, plan_product


def joined(nodes: Sequence[Node]) -> list[range]:
    """Return the positions of a segment's nodes, those of products that take turns together."""
    found: list[range] = []
    for position, node in enumerate(nodes):
        if found and _adds(node, nodes[position - 1]):
            found[-1] = range(found[-1].start, position + 1)
        else:
            found.append(range(position, position + 1))
    return found


def _adds(node: Node, before: Node) -> bool:
    """Whether a node's first pass adds, pixel by pixel, what the last pass of the node before it makes of a product."""
    if not all(isinstance(one, Compute) and one.product for one in (node, before)) or node.shape != before.shape:
        return False
    return bool(node.passes[0].v) and node.passes[0].v == before.passes[-1].out


def emit_products(segment: Segment, tables: Tables, chains: Mapping[int, Chain]) -> None:
    """Emit products that take turns, each with its passes.

    Args:
        chains: of the nodes, by position; of each but the first, the first pass adds what the one before it makes.

    Raises:
        CompileError: an operand does not fit.
    """
    plans = {position: _plan(chain, segment.batch, segment.config) for position, chain in chains.items()}
    for position, tile in turns(plans, {position: chain.node.shape[1] for position, chain in chains.items()}):
        segment.node = position
        _emit_tile(segment, tables, chains[position], replace(plans[position], tiles=[tile]))


def turns(plans: Mapping[int, ProductPlan], heights: Mapping[int, int]) -> list[tuple[int, PixelTile]]:
    """Return (position, tile) of all tiles in order: each behind those tiles of the plan before its own that cover it.

    Args:
        heights: rows of a result, by position as the plans are.
    """
    found, ends, keys = [], [], []
    for position, plan in plans.items():
        own = [(tile.image0 + tile.images - 1) * heights[position] + tile.row0 + tile.rows for tile in plan.tiles]
        keys = [keys[bisect_left(ends, end)] for end in own] if ends else own
        found += [(key, position, number) for number, key in enumerate(keys)]
        ends = own
    return [(position, plans[position].tiles[number]) for _, position, number in sorted(found)]


def _plan(chain: Chain, batch: int, config: Config) -> ProductPlan:
    node = chain.node
    masks = any(p.mask_in or p.mask_out for p in node.passes)
    return plan_product(node.product, batch, masks, room(node.product, config), called(node))


def _emit_tile(segment: Segment, tables: Tables, chain: Chain, plan: ProductPlan) -> None:
    width = chain.node.shape[2]

    def drain(tile: PixelTile, group0: int, groups: int, base: int, rows: int) -> None:
        for i in range(groups):
            part = Part(tile.image0, tile.images, group0 + i, 1, tile.row0 * width, tile.rows * width)
            emit_chain(segment, tables, chain, part, base + i * rows)

    emit_pixels(segment, chain.node.product, plan, drain)
