"""Which words an instruction reads and writes: derived from its fields alone.

A region is (space, start, end), end exclusive. Spaces are the on-chip memories by name, "acc" in rows, rounded to
whole banks since array and vector unit must not share one, and "ddr" in bytes from BASE.
"""

from __future__ import annotations

from hw import isa
from hw.config import Config

Region = tuple[str, int, int]
MAX_RUNS = 64


def footprint(instruction: isa.Instruction, config: Config) -> tuple[list[Region], list[Region]]:
    """Return (reads, writes) of an instruction; where runs leave gaps, the regions may cover more than is touched."""
    reads, writes = _OF[instruction.op](instruction, config)
    if instruction["clip"] or instruction["use_list"]:
        reads.append(("IL", 0, config.list_words))
    return reads, writes


def transfer_runs(instruction: isa.Instruction, config: Config) -> list[Region]:
    """Return the DDR byte ranges of a load or store: each run, or their hull per image or altogether when many."""
    f = instruction
    word = config.word_bytes(isa.MEMORIES[f["mem"]])
    size, n_img, n_grp = f["run"] * word, f["n_img"], f["n_grp"]
    img, grp = f["img_stride"], f["grp_stride"]
    if n_grp > 1 and (grp == size or n_img * n_grp > MAX_RUNS):
        size, n_grp = (n_grp - 1) * grp + size, 1
    if n_img > 1 and (img == size or n_img * n_grp > MAX_RUNS):
        size, n_img = (n_img - 1) * img + size, 1
    return [
        ("ddr", f["addr"] + i * img + j * grp, f["addr"] + i * img + j * grp + size)
        for i in range(n_img) for j in range(n_grp)
    ]


def _load(f: isa.Instruction, config: Config):
    words = f["n_img"] * f["n_grp"] * f["run"]
    return transfer_runs(f, config), [(isa.MEMORIES[f["mem"]].name, f["base"], f["base"] + words)]


def _store(f: isa.Instruction, config: Config):
    writes, reads = _load(f, config)
    return reads, writes


def _banks(first: int, last: int, config: Config) -> Region:
    rows = config.acc_rows
    return "acc", first // rows * rows, (last // rows + 1) * rows


def _array(f: isa.Instruction, config: Config):
    plain, strided = f["n_y"] * f["n_x"], f["h"] * f["w"]
    n_img, n_red, n_kb, taps = f["n_img"], f["n_red"], f["n_kb"], f["n_ky"] * f["n_kx"]
    a_px = plain if f["scatter"] else strided
    a_end = f["a_base"] + (n_red - 1) * f["a_step_red"] + (n_img - 1) * f["a_step_img"] + a_px
    reads = [("A", f["a_base"], a_end)]
    if f["os"]:
        b_end = f["b_base"] + (n_kb - 1) * f["b_step_kb"] + (n_img - 1) * f["b_step_img"] + plain
        c_last = f["c_base"] + (n_kb - 1) * f["c_step_kb"] + (n_red - 1) * f["c_step_red"] + taps * config.g - 1
    else:
        last_tap = 0 if f["hold_weights"] else (taps - 1) * f["b_step_tap"]
        b_end = f["b_base"] + (n_kb - 1) * f["b_step_kb"] + (n_red - 1) * f["b_step_red"] + last_tap + config.g
        c_px = strided if f["scatter"] else plain
        c_last = f["c_base"] + (n_kb - 1) * f["c_step_kb"] + (n_img - 1) * f["c_step_img"] + c_px - 1
    reads.append(("W", f["b_base"], b_end))
    if f["select"]:
        reads.append(("W", f["idx_base"], f["idx_base"] + a_end - f["a_base"]))
    if f["use_blocks"]:
        bits = n_kb * n_red * taps
        reads.append(("BL", f["blocks_base"], f["blocks_base"] + -(-bits // 64)))
    acc = _banks(f["c_base"], c_last, config)
    return [*reads, acc], [acc]


def _vector(f: isa.Instruction, config: Config):
    count = f["n_img"] * f["img_px"]
    masks = f["n_img"] * -(-f["img_px"] // 8)
    lanes = (config.g - 1) * f["c_stride"] + 2
    reads: list[Region] = [("C", f["c_rec"], f["c_rec"] + isa.RECORD_WORDS)]
    writes: list[Region] = []
    if f["u_src"] in (1, 2):
        reads.append(("U", f["u_base"], f["u_base"] + count * (4 if f["u_src"] == 2 else 1)))
    elif f["u_src"] >= 3:
        bank = _banks(f["u_base"], f["u_base"] + count - 1, config)
        reads.append(bank)
        if f["acc_clear"]:
            writes.append(bank)
    if f["v_src"]:
        reads.append(("V", f["v_base"], f["v_base"] + count * (4 if f["v_src"] == 2 else 1)))
    if f["dst"]:
        words = count * (4 if f["dst_wide"] else 1)
        writes.append((("O", "U", "V")[f["dst"] - 1], f["o_base"], f["o_base"] + words))
    if f["mask_in"]:
        reads.append(("MI", f["mi_base"], f["mi_base"] + masks))
    if f["mask_out"]:
        writes.append(("MO", f["mo_base"], f["mo_base"] + masks))
    if f["per_channel"]:
        reads.append(("C", f["c_coef"], f["c_coef"] + lanes))
    if f["sums"]:
        reads.append(("C", f["c_sum"], f["c_sum"] + lanes))
        writes.append(("C", f["c_sum"], f["c_sum"] + lanes))
    if f["max"]:
        reads.append(("C", f["c_max"], f["c_max"] + 1))
        writes.append(("C", f["c_max"], f["c_max"] + 1))
    return reads, writes


def _coefficient(f: isa.Instruction, config: Config):
    table = ("C", f["ch_base"], f["ch_base"] + f["ch_count"] * max(f["ch_stride"], 1))
    scalars = ("C", f["sc_base"], min(f["sc_base"] + SCALAR_REACH, config.table_words))
    return [("P", f["pc"], f["pc"] + f["length"]), table, scalars], [table]


SCALAR_REACH = 32
"""Words behind sc_base that a scalar program may read; blocks of scalars are not larger (hw.compile checks)."""

_OF = {"load": _load, "store": _store, "array": _array, "vector": _vector, "coefficient": _coefficient}
