"""Instructions but for their addresses: all that their counters and cycles depend on, besides the number of images.

A program has few of them: tiles of a layer differ in addresses alone, and so do layers that are alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hw import isa
from hw.config import Config
from hw.program import Program

TURN_BYTES = 256
"""Of a DDR address counts the place within a turn of both ports: 128 bytes of one, then 128 of the other."""

UNDER_WAY = 4
"""Instructions of an engine between start and done."""

Words = tuple[tuple[int, bytes], ...]
"""What is in DDR, by address."""

_LEFT_OUT = {
    "load": ("slot", "base"), "store": ("slot", "base"), "coefficient": ("pc", "ch_base", "ch_stride", "sc_base"),
    "array": ("slot", "a_base", "a_step_red", "a_step_img", "b_base", "b_step_kb", "b_step_red", "b_step_tap", "b_step_img",
              "c_base", "c_step_tap", "c_step_pair", "idx_base", "a_drop", "b_drop", "dither"),
    "vector": ("slot", "su", "sv", "post", "sign_of", "byte", "u_base", "v_base", "o_base", "mi_base", "mo_base", "c_coef",
               "c_stride", "c_rec", "c_sum", "c_max", "px0", "px_total", "ch0"),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Shape:
    """An instruction without its place; there is one object for equal ones.

    Attributes:
        fields: that are not zero, without addresses; DDR addresses and strides less whole turns of the ports; `base` where a
            load may share words with one that is under way beside it.
        content: the scalar program of the coefficient unit, or the weight-block list where the array uses it.
    """

    op: str
    fields: dict[str, int]
    content: tuple[int, ...]
    config: Config

    def __getitem__(self, name: str) -> int:
        return self.fields.get(name, 0)

    def images(self, slot: int, images: int) -> int:
        """Return how many images an instruction with this slot runs for, of those of a mini-batch."""
        n_img = self.fields.get("n_img", 0)
        return min(max(images - slot, 0), n_img) if self.fields.get("clip") else n_img


def shapes(program: Program, segment: str, config: Config) -> tuple[tuple[Shape, int], ...]:
    """Return (shape, slot) of a segment's instructions."""
    return _shapes(program.code[segment], program.words(), config)


@lru_cache(maxsize=512)
def _shapes(code: bytes, words: Words, config: Config) -> tuple[tuple[Shape, int], ...]:
    size = isa.INSTRUCTION_BYTES
    return tuple(shapes_of((isa.decode(code[at : at + size]) for at in range(0, len(code), size)), config, words))


def shapes_of(instructions: Iterable[isa.Instruction], config: Config, words: Words) -> Iterator[tuple[Shape, int]]:
    """Yield (shape, slot) of instructions."""
    small = {"P": np.zeros(config.program_words, np.uint64), "BL": np.zeros(config.block_words, np.uint64)}
    instructions = list(instructions)
    shared = _shared_words(instructions)
    for number, f in enumerate(instructions):
        fields, content = {name: value for name, value in f.fields.items() if value and name not in _LEFT_OUT[f.op]}, ()
        if f.op in ("load", "store"):
            _follow_small_load(f, words, small)
            fields |= {name: f[name] % TURN_BYTES for name in ("addr", "img_stride", "grp_stride")}
            if number in shared:
                fields["base"] = f["base"]
        elif f.op == "coefficient":
            content = tuple(small["P"][f["pc"] : f["pc"] + f["length"]].tolist())
        elif f["use_blocks"]:
            content = tuple(small["BL"].tolist())
        yield _shape(f.op, tuple(sorted(fields.items())), content, config), f["slot"]


@lru_cache(maxsize=1 << 16)
def _shape(op: str, fields: tuple[tuple[str, int], ...], content: tuple[int, ...], config: Config) -> Shape:
    return Shape(op, dict(fields), content, config)


def _shared_words(instructions: list[isa.Instruction]) -> set[int]:
    """Return the numbers of loads that may have words in common with one that may be under way beside them."""
    shared, recent = set(), deque[tuple[int, int, int, int]](maxlen=UNDER_WAY - 1)
    for number, f in enumerate(instructions):
        if f.op != "load":
            continue
        first, end = f["base"], f["base"] + f["n_img"] * f["n_grp"] * f["run"]
        for other, memory, other_first, other_end in recent:
            if memory == f["mem"] and first < other_end and other_first < end:
                shared |= {number, other}
        recent.append((number, f["mem"], first, end))
    return shared


def _follow_small_load(f: isa.Instruction, words: Words, small: dict[str, np.ndarray]) -> None:
    """Do a load into one of the memories in `small`: scalar programs and block lists."""
    name = isa.MEMORIES[f["mem"]].name
    if f.op == "load" and name in small:
        at = f["base"]
        for i in range(f["n_img"]):
            for j in range(f["n_grp"]):
                small[name][at : at + f["run"]] = _read(words, f["addr"] + i * f["img_stride"] + j * f["grp_stride"], f["run"])
                at += f["run"]


def _read(words: Words, address: int, count: int) -> np.ndarray:
    """Return 64-bit words, those at addresses with no known content as zeros."""
    for at, data in words:
        if at <= address < at + len(data):
            return np.frombuffer(data[address - at : address - at + 8 * count], "<u8")
    return np.zeros(count, np.uint64)
