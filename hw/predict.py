"""What the counters of a segment will be, from its instructions and the number of images, without any arithmetic.

All but the counters of isa.TIMING_COUNTERS are exact: instructions do not branch on data. The golden model counts
while it computes; this module counts alone, and the two are compared in the tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from algo import scalar_ops
from hw import golden_array, isa
from hw.config import Config
from hw.program import Program
from hw.shapes import Shape, shapes, shapes_of


def predict_counters(program: Program, segment: str, images: int, config: Config) -> dict[str, int]:
    """Return the counters of a segment of a program, timing counters left out.

    Args:
        images: images in the mini-batch, as the image list's first word will say.
    """
    return _total(shapes(program, segment, config), images)


def count(instructions: Iterable[isa.Instruction], config: Config, images: int, ddr: np.ndarray) -> dict[str, int]:
    """Return the counters of instructions, timing counters left out.

    Args:
        ddr: DDR contents, of which scalar programs and weight-block lists are looked at.
    """
    return _total(shapes_of(instructions, config, ((0, ddr.tobytes()),)), images)


def _total(instructions: Iterable[tuple[Shape, int]], images: int) -> dict[str, int]:
    total = {name: 0 for name in isa.COUNTER_NAMES if name not in isa.TIMING_COUNTERS}
    for (shape, n), times in Counter((shape, shape.images(slot, images)) for shape, slot in instructions).items():
        for name, value in counted(shape, n).items():
            total[name] += times * value
    return total


@lru_cache(maxsize=1 << 16)
def counted(f: Shape, n: int) -> Counter[str]:
    """Return what an instruction counts that runs for n images, timing counters left out."""
    found = Counter({"instructions": 1, "ddr_read_bytes": isa.INSTRUCTION_BYTES})
    if f.op in ("load", "store"):
        found.update(_transfer(f, n))
    elif f.op == "array":
        found.update(golden_array.counts(f, n, f.config.g, np.array(f.content, np.uint64)))
    elif f.op == "vector":
        found.update(_vector(f, n))
    else:
        found.update(_coefficient(f))
    return found


def _transfer(f: Shape, n: int) -> dict[str, int]:
    memory = isa.MEMORIES[f["mem"]]
    words = n * f["n_grp"] * f["run"]
    moved = words * f.config.word_bytes(memory)
    counted = {"ddr_read_bytes": moved} if f.op == "load" else {"ddr_write_bytes": moved}
    if memory.wide:
        counted["spad_writes" if f.op == "load" else "spad_reads"] = words
    elif memory.name == "C":
        counted["table_writes" if f.op == "load" else "table_reads"] = words
    return counted


def _vector(f: Shape, n: int) -> dict[str, int]:
    vectors, masks = n * f["img_px"], n * -(-f["img_px"] // 8)
    wide = f["u_src"] == 2 or f["v_src"] == 2 or f["dst_wide"]
    operand_words = (0, 1, 4, 0, 0, 0, 0, 0)[f["u_src"]] + (0, 1, 4, 0)[f["v_src"]]
    result_words = (4 if f["dst_wide"] else 1) if f["dst"] else 0
    from_acc = vectors if f["u_src"] in (3, 4, 5) else 0
    lanes = 2 * f.config.g
    return {
        "vectors": vectors,
        "vectors_wide": vectors if wide else 0,
        "spad_reads": vectors * operand_words + (masks if f["mask_in"] else 0),
        "spad_writes": vectors * result_words + (masks if f["mask_out"] else 0),
        "acc_reads": from_acc,
        "acc_writes": from_acc if f["acc_clear"] else 0,
        "table_reads": (lanes + 2 if f["per_channel"] else isa.RECORD_WORDS)
        + (lanes if f["sums"] and not f["sums_first"] else 0) + f["max"],
        "table_writes": (lanes if f["sums"] else 0) + f["max"],
    }


def _coefficient(f: Shape) -> dict[str, int]:
    operations = [scalar_ops.decode(word & 0xFFFFFFFF)[0] for word in f.content]
    channels = f["ch_count"]
    return {
        "scalar_ops": channels * len(operations),
        "table_reads": channels * sum(op in ("ldc", "lds") for op in operations),
        "table_writes": channels * operations.count("stc"),
    }
