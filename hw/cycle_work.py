"""What the cycle model looks at in an instruction, worked out once: equal work takes equal time in the same state of the core.

Of addresses in DDR only the place within a turn of both ports counts, of words in a memory only whether loads under way share
some, of images their number. So layers that are alike, and numbers of images, have most of their work in common.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence

import numpy as np

from hw import isa
from hw.config import Config
from hw.cycle_array import array_cycles
from hw.cycle_coefficient import CoefficientWork, scalar_program
from hw.cycle_issue import Work, work_of
from hw.cycle_transfers import TURN_BYTES, UNDER_WAY, TransferWork
from hw.cycle_vector import VectorWork
from hw.predict import follow_small_loads


def works(
    instructions: Sequence[isa.Instruction], images: int, config: Config, ddr: np.ndarray, first_image: int | Sequence[int]
) -> list[Work]:
    """Return the work of a segment's instructions; arguments as for hw.predict_cycles.predict_cycles.

    Args:
        ddr: DDR contents, of which scalar programs and weight-block lists are looked at.
    """
    small = {"P": np.zeros(config.program_words, np.uint64), "BL": np.zeros(config.block_words, np.uint64)}
    counts = [min(max(images - f["slot"], 0), f["n_img"]) if f["clip"] else f["n_img"] for f in instructions]
    shared = _shared_words(instructions, counts)
    found = []
    for number, (f, n) in enumerate(zip(instructions, counts, strict=True)):
        part: Hashable
        if f.op in ("load", "store"):
            if f.op == "load":
                follow_small_loads(f, ddr, small)
            part = _transfer(f, n, f["base"] if number in shared else None, config, first_image)
        elif f.op == "array":
            part = array_cycles(f, n, config.g, small["BL"])
        elif f.op == "vector":
            position = 1 + -(-f["slot"].bit_length() // 2) if f["stochastic"] else 0
            part = VectorWork(n * f["img_px"], position, *(f[name] for name in VectorWork._fields[2:]))
        else:
            part = CoefficientWork(f["ch_count"], scalar_program(tuple(small["P"][f["pc"] : f["pc"] + f["length"]].tolist())))
        found.append(work_of(isa.ENGINES.index(f.op), f["wait"], f["signal"], part))
    return found


def _shared_words(instructions: Sequence[isa.Instruction], counts: Sequence[int]) -> set[int]:
    """Return the numbers of loads that have words in common with one that may be under way beside them."""
    shared, recent = set(), deque[tuple[int, int, int, int]](maxlen=UNDER_WAY - 1)
    for number, (f, n) in enumerate(zip(instructions, counts, strict=True)):
        if f.op != "load":
            continue
        first, end = f["base"], f["base"] + n * f["n_grp"] * f["run"]
        for other, memory, other_first, other_end in recent:
            if memory == f["mem"] and first < other_end and other_first < end:
                shared |= {number, other}
        recent.append((number, f["mem"], first, end))
    return shared


def _transfer(f: isa.Instruction, n: int, first: int | None, config: Config, first_image: int | Sequence[int]) -> TransferWork:
    if not f["use_list"]:
        images = tuple((1, (f["addr"] + i * f["img_stride"]) % TURN_BYTES) for i in range(n))
    else:
        slots = range(f["slot"], f["slot"] + n)
        numbers = [first_image + slot if isinstance(first_image, int) else first_image[slot] for slot in slots]
        images = tuple((3 + max(i.bit_length(), 1), (f["addr"] + i * f["img_stride"]) % TURN_BYTES) for i in numbers)
    beats = 8 * config.word_bytes(isa.MEMORIES[f["mem"]]) // config.axi_bits
    return TransferWork(f["mem"], first, beats, f["run"], f["n_grp"], f["grp_stride"] % TURN_BYTES, images)
