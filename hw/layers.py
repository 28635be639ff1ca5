"""Which layer a program's counts belong to: counters by layer and work, exact, from the instructions alone."""

from __future__ import annotations

import re
from collections import Counter

from algo.step import Coefficient, Compute, Step, Update
from hw.config import Config
from hw.predict import counted
from hw.program import Program
from hw.shapes import shapes

SEGMENT = "whole segment"
"""Layer of instructions that work for no single one: image list, host table, maxima."""

_SUFFIX = re.compile(r"(\.grad\.\d+|\.(forward|backward|running|evaluate|update|eval|grad|sums|weight|gate|pooled|stream))+$")
"""What nodes add to the name of the module that they work for."""


def owner(step: Step, segment: str, node: int) -> tuple[str, str]:
    """Return (layer, work) of a node of a segment: the module's name as PyTorch has it, and what is done for it.

    Work is the product's kind ("forward", "grad_input", "grad_weight", ...), "element-wise" for passes without a product, or
    "coefficients". A weight's update counts as its grad_weight, a pass behind a product as that product.
    """
    if node < 0:
        return SEGMENT, "tables"
    one = step.segments[segment][node]
    if isinstance(one, Update):
        return one.weight.removesuffix(".weight"), "grad_weight"
    if isinstance(one, Compute) and one.product is not None:
        layer = one.product.b.removesuffix(".weight") if one.product.b in step.weights else _module(one.name)
        return layer, one.product.kind
    return _module(one.name), "coefficients" if isinstance(one, Coefficient) else "element-wise"


def _module(node: str) -> str:
    """Return the module's name in a node's: "blocks.0.bn1.grad.sums" works for "blocks.0.bn1"."""
    return _SUFFIX.sub("", node)


def counters_by_layer(program: Program, segment: str, images: int, config: Config) -> dict[tuple[str, str], dict[str, int]]:
    """Return the counters of a segment by (layer, work), timing counters left out; together they are the segment's.

    Args:
        images: images in the mini-batch.
    """
    parts: dict[tuple[str, str], Counter[str]] = {}
    for node, (shape, slot) in zip(program.nodes(segment), shapes(program, segment, config), strict=True):
        parts.setdefault(owner(program.step, segment, node), Counter()).update(counted(shape, shape.images(slot, images)))
    return {key: dict(counted) for key, counted in parts.items()}
