"""What the cycle model does for an instruction, from its shape: equal work takes equal time in the same state of the core."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from functools import lru_cache

import numpy as np

from hw import isa
from hw.cycle_array import array_cycles
from hw.cycle_coefficient import CoefficientWork, scalar_program
from hw.cycle_issue import Work, work_of
from hw.cycle_transfers import TransferWork
from hw.cycle_vector import VectorWork
from hw.shapes import TURN_BYTES, Shape


def works(instructions: Iterable[tuple[Shape, int]], images: int, first_image: int | Sequence[int]) -> list[Work]:
    """Return the work of a segment's instructions.

    Args:
        instructions: their shapes and slots.
        images, first_image: as for hw.predict_cycles.predict_cycles.
    """
    found = []
    for shape, slot in instructions:
        n = shape.images(slot, images)
        place: Hashable = None
        if shape["use_list"]:
            place = tuple(first_image + at if isinstance(first_image, int) else first_image[at] for at in range(slot, slot + n))
        elif shape["stochastic"]:
            place = slot.bit_length()
        found.append(_work(shape, n, place))
    return found


@lru_cache(maxsize=1 << 16)
def _work(f: Shape, n: int, place: Hashable) -> Work:
    """Return the work of an instruction.

    Args:
        n: images to run for.
        place: image numbers where a transfer uses the list, bits of the slot where a vector instruction uses noise.
    """
    part: Hashable
    if f.op in ("load", "store"):
        part = _transfer(f, n, place)
    elif f.op == "array":
        part = array_cycles(f, n, f.config.g, np.array(f.content, np.uint64))
    elif f.op == "vector":
        position = 1 + -(-place // 2) if f["stochastic"] else 0
        part = VectorWork(n * f["img_px"], position, *(f[name] for name in VectorWork._fields[2:]))
    else:
        part = CoefficientWork(f["ch_count"], scalar_program(f.content))
    return work_of(isa.ENGINES.index(f.op), f["wait"], f["signal"], part)


def _transfer(f: Shape, n: int, numbers: tuple[int, ...] | None) -> TransferWork:
    if numbers is None:
        images = tuple((1, (f["addr"] + i * f["img_stride"]) % TURN_BYTES) for i in range(n))
    else:
        images = tuple((3 + max(i.bit_length(), 1), (f["addr"] + i * f["img_stride"]) % TURN_BYTES) for i in numbers)
    beats = 8 * f.config.word_bytes(isa.MEMORIES[f["mem"]]) // f.config.axi_bits
    return TransferWork(f["mem"], f.fields.get("base"), beats, f["run"], f["n_grp"], f["grp_stride"], images)
