"""What the counters of a segment will be, from its instructions and the number of images, without any arithmetic.

All but the counters of isa.TIMING_COUNTERS are exact: instructions do not branch on data. The golden model counts
while it computes; this module counts alone, and the two are compared in the tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from algo import scalar_ops
from hw import golden_array, isa
from hw.config import Config
from hw.program import Program


def predict_counters(program: Program, segment: str, images: int, config: Config) -> dict[str, int]:
    """Return the counters of a segment of a program, timing counters left out.

    Args:
        images: images in the mini-batch, as the image list's first word will say.
    """
    return count(program.instructions(segment), config, images, program.image())


def count(instructions: Iterable[isa.Instruction], config: Config, images: int, ddr: np.ndarray) -> dict[str, int]:
    """Return the counters of instructions, timing counters left out.

    Args:
        ddr: DDR contents, of which scalar programs and weight-block lists are looked at.
    """
    total: Counter[str] = Counter({name: 0 for name in isa.COUNTER_NAMES if name not in isa.TIMING_COUNTERS})
    for counted in count_each(instructions, config, images, ddr):
        total.update(counted)
    return dict(total)


def count_each(
    instructions: Iterable[isa.Instruction], config: Config, images: int, ddr: np.ndarray
) -> Iterator[dict[str, int]]:
    """Yield what each instruction counts, zeros and timing counters left out; arguments as for `count`."""
    small = {"P": np.zeros(config.program_words, np.uint64), "BL": np.zeros(config.block_words, np.uint64)}
    for f in instructions:
        n = min(max(images - f["slot"], 0), f["n_img"]) if f["clip"] else f["n_img"]
        counted = Counter({"instructions": 1, "ddr_read_bytes": isa.INSTRUCTION_BYTES})
        if f.op in ("load", "store"):
            counted.update(_transfer(f, n, config))
            if f.op == "load":
                follow_small_loads(f, ddr, small)
        elif f.op == "array":
            counted.update(golden_array.counts(f, n, config.g, small["BL"]))
        elif f.op == "vector":
            counted.update(_vector(f, n, config))
        else:
            counted.update(_coefficient(f, small["P"]))
        yield counted


def _transfer(f: isa.Instruction, n: int, config: Config) -> dict[str, int]:
    memory = isa.MEMORIES[f["mem"]]
    words = n * f["n_grp"] * f["run"]
    moved = words * config.word_bytes(memory)
    counted = {"ddr_read_bytes": moved} if f.op == "load" else {"ddr_write_bytes": moved}
    if memory.wide:
        counted["spad_writes" if f.op == "load" else "spad_reads"] = words
    elif memory.name == "C":
        counted["table_writes" if f.op == "load" else "table_reads"] = words
    return counted


def follow_small_loads(f: isa.Instruction, ddr: np.ndarray, small: dict[str, np.ndarray]) -> None:
    """Do a load into one of the memories in `small`: scalar programs and block lists, on whose contents counters depend."""
    name = isa.MEMORIES[f["mem"]].name
    if name in small:
        at = f["base"]
        for i in range(f["n_img"]):
            for j in range(f["n_grp"]):
                start = f["addr"] + i * f["img_stride"] + j * f["grp_stride"]
                small[name][at : at + f["run"]] = ddr[start : start + 8 * f["run"]].view("<u8")
                at += f["run"]


def _vector(f: isa.Instruction, n: int, config: Config) -> dict[str, int]:
    vectors, masks = n * f["img_px"], n * -(-f["img_px"] // 8)
    wide = f["u_src"] == 2 or f["v_src"] == 2 or f["dst_wide"]
    operand_words = (0, 1, 4, 0, 0, 0, 0, 0)[f["u_src"]] + (0, 1, 4, 0)[f["v_src"]]
    result_words = (4 if f["dst_wide"] else 1) if f["dst"] else 0
    from_acc = vectors if f["u_src"] in (3, 4, 5) else 0
    lanes = 2 * config.g
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


def _coefficient(f: isa.Instruction, programs: np.ndarray) -> dict[str, int]:
    words = programs[f["pc"] : f["pc"] + f["length"]]
    operations = [scalar_ops.decode(int(word) & 0xFFFFFFFF)[0] for word in words]
    channels = f["ch_count"]
    return {
        "scalar_ops": channels * len(operations),
        "table_reads": channels * sum(op in ("ldc", "lds") for op in operations),
        "table_writes": channels * operations.count("stc"),
    }
