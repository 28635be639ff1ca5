"""Programs that keep one part of the core busy and the others at rest: transfers, or passes of the vector unit.

They compute nothing of use; an energy model needs them to tell apart what training always does together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hw.compile import CLEAR, assemble, clear_segment, encode
from hw.compile_kernel import SEGMENT
from hw.compile_table import HOST_TABLE, IMAGE_LIST, TableLayout
from hw.config import Config
from hw.emit import Segment
from hw.isa import RECORD_WORDS
from hw.memory_map import MemoryMap
from hw.operands import draw
from hw.program import Program
from hw.scratchpad import CompileError

DATA, RESULT = "data", "result"
SHORT_RUN = 4
"""Words of a run in `gather`: bursts shorter than the memory likes."""

CHANNEL_WORDS = 4
"""Words per channel of the table that `normalise` uses: AB, D, S1, S2."""

SHIFT = 15
"""Of the records: A = B = 2^(SHIFT - 1), so that a result is half the sum of its operands."""


def compile_exercise(kind: str, times: int, config: Config, seed: int = 0, statistic: str = "random") -> Program:
    """Return a program with segments "clear" and "kernel".

    Args:
        kind: of KINDS.
        times: how often the part goes over its scratchpad; the segment's length is proportional to it.
        statistic: of the data, of operands.STATISTICS.

    Raises:
        CompileError: an unknown kind, or a count that is not positive.
    """
    if kind not in KINDS:
        raise CompileError(f"no exercise is called {kind!r}: there are {', '.join(KINDS)}")
    if times < 1:
        raise CompileError(f"an exercise is repeated {times} times; it must be at least 1")
    words, memory = config.vector_words, MemoryMap(config.g)
    memory.add(HOST_TABLE, "words", (RECORD_WORDS + CHANNEL_WORDS * config.g,))
    memory.add(IMAGE_LIST, "words", (2,))
    for name in (DATA, RESULT):  # one group of channels: pixels are words, in the order of DDR
        memory.add(name, "activation", (1, config.g, 2 * words, 1))
    rng = np.random.default_rng(seed)
    initial = {HOST_TABLE: _table(config), IMAGE_LIST: np.array([1, 0], np.int64), DATA: _data(statistic, config, rng)}
    segment = Segment(config, memory, 1)
    KINDS[kind](segment, times)
    host = TableLayout({"half": 0}, {}, {}, memory[HOST_TABLE].shape[0])
    code = {CLEAR: clear_segment(config, memory), SEGMENT: encode(segment.instructions, config)}
    return assemble(config, memory, host, code, initial)


def _data(statistic: str, config: Config, rng: np.random.Generator) -> np.ndarray:
    """Return (1, g, 2 vector_words, 1): drawn as square planes, so that quiet data is quiet along the words."""
    words = 2 * config.vector_words
    side = 1 << (words.bit_length() // 2)
    planes = draw(statistic, (config.g, -(-words // side), side), rng)
    return np.ascontiguousarray(planes.reshape(config.g, -1)[:, :words]).reshape(1, config.g, words, 1)


def _table(config: Config) -> np.ndarray:
    """Return the record and, behind it, the channel table."""
    half = 1 << SHIFT - 1
    both = half | half << 32
    record = [both, 0, SHIFT << 32, 0]
    return np.array(record + [both, 0, 0, 0] * config.g, np.int64)


def _read(segment: Segment, times: int) -> None:
    words, data = segment.config.vector_words, segment.memory[DATA]
    for i in range(times):
        half = i % 2
        segment.load_words("A", half * words, data.offset + half * data.size // 2, words)


def _write(segment: Segment, times: int) -> None:
    words, data, result = segment.config.vector_words, segment.memory[DATA], segment.memory[RESULT]
    segment.load_words("U", 0, data.offset, words)
    for i in range(times):
        segment.store_words("U", 0, result.offset + i % 2 * result.size // 2, words)


def _copy(segment: Segment, times: int) -> None:
    words, data, result = segment.config.vector_words // 2, segment.memory[DATA], segment.memory[RESULT]
    for i in range(times):
        base, part = i % 2 * words, i % 4 * data.size // 4
        segment.load_words("U", base, data.offset + part, words)
        segment.store_words("U", base, result.offset + part, words)


def _gather(segment: Segment, times: int) -> None:
    words, data = segment.config.vector_words, segment.memory[DATA]
    step = 2 * SHORT_RUN * segment.config.g
    for i in range(times):
        groups = min(words // SHORT_RUN, 512)
        address = data.offset + i % 2 * SHORT_RUN * segment.config.g
        segment.load_grid("A", i % 2 * words, address, (1, 0), (groups, step), SHORT_RUN)


def _passes(segment: Segment, times: int, **fields: int) -> None:
    """Emit vector instructions over the operands, which are loaded once, and store what they made last."""
    config, memory = segment.config, segment.memory
    words, data = config.vector_words, memory[DATA]
    segment.load_words("IL", 0, memory[IMAGE_LIST].offset, 2)
    segment.load_words("C", 0, memory[HOST_TABLE].offset, memory[HOST_TABLE].shape[0])
    segment.load_words("U", 0, data.offset, words)
    segment.load_words("V", 0, data.offset + data.size // 2, words)
    vectors = words // (4 if fields.get("dst_wide") else 1)
    for _ in range(times):
        segment.emit("vector", **{"c_rec": 0, "u_src": 1, "dst": 1, "n_img": 1, "img_px": vectors} | fields)
    if fields.get("dst", 1) == 1:
        segment.store_words("O", 0, memory[RESULT].offset, words)


def _scale(segment: Segment, times: int) -> None:
    _passes(segment, times)


def _add(segment: Segment, times: int) -> None:
    pixels = min(segment.config.vector_words, 8 * segment.config.mask_words)
    _passes(segment, times, v_src=1, post=1, mask_out=1, img_px=pixels)


def _normalise(segment: Segment, times: int) -> None:
    _passes(segment, times, v_src=1, per_channel=1, c_coef=RECORD_WORDS, c_stride=CHANNEL_WORDS, sums=1, sums_first=1,
            c_sum=RECORD_WORDS + 2)


def _update(segment: Segment, times: int) -> None:
    _passes(segment, times, u_src=2, v_src=2, dst_wide=1)


KINDS: dict[str, Callable[[Segment, int], None]] = {
    "read": _read, "write": _write, "copy": _copy, "gather": _gather,
    "scale": _scale, "add": _add, "normalise": _normalise, "update": _update,
}  # fmt: skip
"""Transfers (read: DDR to A; write: U to DDR; copy: both; gather: short runs) and passes (scale: one operand; add: two, ReLU
and mask; normalise: coefficients per channel and sums; update: 32-bit operands and results)."""

TRANSFERS, PASSES = tuple(KINDS)[:4], tuple(KINDS)[4:]
