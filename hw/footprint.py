"""Which words an instruction reads and writes: derived from its fields alone.

A region is (space, start, end), end exclusive. Spaces are the on-chip memories by name, "acc" in rows, rounded to
whole banks since array and vector unit must not share one, and "ddr" in bytes from BASE.
"""

from __future__ import annotations

from collections.abc import Callable

from hw import isa
from hw.config import Config

Region = tuple[str, int, int]
Fields = Callable[[str, int], int]
"""The value of a field, with what it is when absent."""

MAX_RUNS = 64


def footprint(instruction: isa.Instruction, config: Config) -> tuple[list[Region], list[Region]]:
    """Return (reads, writes) of an instruction; where runs leave gaps, the regions may cover more than is touched."""
    f = instruction.fields.get
    reads, writes = _OF[instruction.op](f, config)
    if f("clip", 0) or f("use_list", 0):
        reads.append(("IL", 0, config.list_words))
    return reads, writes


def transfer_runs(f: Fields, config: Config) -> list[Region]:
    """Return the DDR byte ranges of a load or store: each run, or their hull per image or altogether when many."""
    word = config.word_bytes(isa.MEMORIES[f("mem", 0)])
    size, n_img, n_grp = f("run", 0) * word, f("n_img", 0), f("n_grp", 0)
    img, grp = f("img_stride", 0), f("grp_stride", 0)
    if n_grp > 1 and (grp == size or n_img * n_grp > MAX_RUNS):
        size, n_grp = (n_grp - 1) * grp + size, 1
    if n_img > 1 and (img == size or n_img * n_grp > MAX_RUNS):
        size, n_img = (n_img - 1) * img + size, 1
    addresses = (f("addr", 0) + i * img + j * grp for i in range(n_img) for j in range(n_grp))
    return [("ddr", at, at + size) for at in addresses]


def _load(f: Fields, config: Config):
    words = f("n_img", 0) * f("n_grp", 0) * f("run", 0)
    return transfer_runs(f, config), [(isa.MEMORIES[f("mem", 0)].name, f("base", 0), f("base", 0) + words)]


def _store(f: Fields, config: Config):
    writes, reads = _load(f, config)
    return reads, writes


def _banks(first: int, last: int, config: Config) -> Region:
    rows = config.acc_rows
    return "acc", first // rows * rows, (last // rows + 1) * rows


def _array(f: Fields, config: Config):
    plain, strided = f("n_y", 0) * f("n_x", 0), f("h", 0) * f("w", 0)
    n_img, n_red, n_kb, taps = f("n_img", 0), f("n_red", 0), f("n_kb", 0), f("n_ky", 0) * f("n_kx", 0)
    a_px = plain if f("scatter", 0) else strided
    a_end = f("a_base", 0) + (n_red - 1) * f("a_step_red", 0) + (n_img - 1) * f("a_step_img", 0) + a_px
    reads = [("A", f("a_base", 0), a_end)]
    if f("os", 0):
        b_end = f("b_base", 0) + (n_kb - 1) * f("b_step_kb", 0) + (n_img - 1) * f("b_step_img", 0) + plain
        c_last = f("c_base", 0) + (n_kb - 1) * f("c_step_kb", 0) + (n_red - 1) * f("c_step_red", 0) + taps * config.g - 1
    else:
        last_tap = 0 if f("hold_weights", 0) else (taps - 1) * f("b_step_tap", 0)
        b_end = f("b_base", 0) + (n_kb - 1) * f("b_step_kb", 0) + (n_red - 1) * f("b_step_red", 0) + last_tap + config.g
        c_px = strided if f("scatter", 0) else plain
        c_last = f("c_base", 0) + (n_kb - 1) * f("c_step_kb", 0) + (n_img - 1) * f("c_step_img", 0) + c_px - 1
    reads.append(("W", f("b_base", 0), b_end))
    if f("select", 0):
        reads.append(("W", f("idx_base", 0), f("idx_base", 0) + a_end - f("a_base", 0)))
    if f("use_blocks", 0):
        bits = n_kb * n_red * taps
        reads.append(("BL", f("blocks_base", 0), f("blocks_base", 0) + -(-bits // 64)))
    acc = _banks(f("c_base", 0), c_last, config)
    return [*reads, acc], [acc]


def _vector(f: Fields, config: Config):
    count = f("n_img", 0) * f("img_px", 0)
    masks = f("n_img", 0) * -(-f("img_px", 0) // 8)
    lanes = (config.g - 1) * f("c_stride", 0) + 2
    reads: list[Region] = [("C", f("c_rec", 0), f("c_rec", 0) + isa.RECORD_WORDS)]
    writes: list[Region] = []
    if f("u_src", 0) in (1, 2):
        reads.append(("U", f("u_base", 0), f("u_base", 0) + count * (4 if f("u_src", 0) == 2 else 1)))
    elif f("u_src", 0) >= 3:
        bank = _banks(f("u_base", 0), f("u_base", 0) + count - 1, config)
        reads.append(bank)
        if f("acc_clear", 0):
            writes.append(bank)
    if f("v_src", 0):
        reads.append(("V", f("v_base", 0), f("v_base", 0) + count * (4 if f("v_src", 0) == 2 else 1)))
    if f("dst", 0):
        words = count * (4 if f("dst_wide", 0) else 1)
        writes.append((("O", "U", "V")[f("dst", 0) - 1], f("o_base", 0), f("o_base", 0) + words))
    if f("mask_in", 0):
        reads.append(("MI", f("mi_base", 0), f("mi_base", 0) + masks))
    if f("mask_out", 0):
        writes.append(("MO", f("mo_base", 0), f("mo_base", 0) + masks))
    if f("per_channel", 0):
        reads.append(("C", f("c_coef", 0), f("c_coef", 0) + lanes))
    if f("sums", 0):
        reads.append(("C", f("c_sum", 0), f("c_sum", 0) + lanes))
        writes.append(("C", f("c_sum", 0), f("c_sum", 0) + lanes))
    if f("max", 0):
        reads.append(("C", f("c_max", 0), f("c_max", 0) + 1))
        writes.append(("C", f("c_max", 0), f("c_max", 0) + 1))
    return reads, writes


def _coefficient(f: Fields, config: Config):
    table = ("C", f("ch_base", 0), f("ch_base", 0) + f("ch_count", 0) * max(f("ch_stride", 0), 1))
    scalars = ("C", f("sc_base", 0), min(f("sc_base", 0) + SCALAR_REACH, config.table_words))
    return [("P", f("pc", 0), f("pc", 0) + f("length", 0)), table, scalars], [table]


SCALAR_REACH = 32
"""Words behind sc_base that a scalar program may read; blocks of scalars are not larger (hw.compile checks)."""

_OF = {"load": _load, "store": _store, "array": _array, "vector": _vector, "coefficient": _coefficient}
