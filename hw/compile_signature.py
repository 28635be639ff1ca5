"""Full array activity for a while as a program: what the accelerator plays as the "on" of a power signature.

One output-stationary instruction multiplies random pixels in every cycle, on all G x G multipliers; the memories
that it reads hold the pixels once and are gone through again and again, so its length does not depend on their size.
"""

from __future__ import annotations

import numpy as np

from hw.compile import CLEAR, assemble, clear_segment, encode
from hw.compile_table import TableLayout
from hw.config import Config
from hw.emit import Segment
from hw.memory_map import ALIGNMENT, MemoryMap
from hw.program import Program
from hw.scratchpad import CompileError

BUSY = "busy"
"""Segment of full array activity; it finds and leaves the accumulators zero, as every segment does."""

OPERANDS = ("signature.a", "signature.b")
MOST_PIXELS = 512
MOST_REPEATS = (1 << 12) - 1
"""What the instruction's fields hold: images, each of them all pixels again."""


def compile_signature(config: Config, cycles: int, base: int = 0, seed: int = 0) -> Program:
    """Return a program whose segment BUSY keeps the array full for about `cycles`; CLEAR is run once at power-on.

    Args:
        base: byte offset in DDR behind which the program lies, so that another one keeps its place in front.
        seed: of the random operands, int8 from -127 to 127.

    Raises:
        CompileError: fewer cycles than a pass over the operands, more than one instruction counts, or no DDR left.
    """
    pixels = min(MOST_PIXELS, config.a_words, config.w_words)
    repeats = round(cycles / pixels)
    if not 1 <= repeats <= MOST_REPEATS:
        raise CompileError(f"a signature's segment of {cycles} cycles: from {pixels} to {MOST_REPEATS * pixels} are possible")
    memory = MemoryMap(config.g, {}, -(-base // ALIGNMENT) * ALIGNMENT)
    rng = np.random.default_rng(seed)
    initial = {}
    for name in OPERANDS:
        memory.add(name, "activation", (1, config.g, 1, pixels))
        initial[name] = rng.integers(-127, 128, memory[name].shape, np.int8)
    code = {CLEAR: clear_segment(config, memory), BUSY: _busy(config, memory, pixels, repeats)}
    return assemble(config, memory, TableLayout({}, {}, {}, 0), code, initial)


def _busy(config: Config, memory: MemoryMap, pixels: int, repeats: int) -> bytes:
    segment = Segment(config, memory, 1)
    for on_chip, name in zip(("A", "W"), OPERANDS, strict=True):
        segment.load_words(on_chip, 0, memory[name].offset, pixels)
    segment.emit("array", os=1, product=2, n_kb=1, n_red=1, n_ky=1, n_kx=1, n_img=repeats, n_y=1, n_x=pixels,
                 stride=1, h=1, w=pixels)
    segment.emit("vector", u_src=3, acc_clear=1, n_img=1, img_px=config.g)
    return encode(segment.instructions, config)
