"""Cycles of an array instruction, from its fields alone: hw/rtl/array_engine.sv with its passes, sequencer and weight loader."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from hw.shapes import Shape

SUM_CYCLES = 10
"""Cycles from a weight-stationary slot until its row is written."""

DRAIN_CYCLES = 10
"""Cycles from the last slot of an output-stationary pass until its rows are written, besides one per row."""

ROW_CYCLES = 4
"""Cycles from a slot that accumulates to the next one that may come to the same row."""

ENDS = (0, 1, 2, -3, -2, -1)
"""Slots of a long pass that may meet rows of the passes before and behind it."""

LIST_BITS = 64


def array_cycles(f: Shape, n: int, g: int, blocks: np.ndarray) -> int:
    """Return the cycles from the start of an array instruction until it is done.

    Args:
        n: images to run for.
        g: side of the array.
        blocks: uint64, the weight-block list.
    """
    used = _pass_bits(f, blocks)
    slots = _Slots(f, n)
    taps = f["n_ky"] * f["n_kx"]
    drained = 2 * g if f["pair"] else g
    # First cycles in which the next pass is offered, the sequencer takes it, and its block may be read behind the working one.
    offered = 3 + max(abs(f["oy"]).bit_length(), f["stride"].bit_length())
    free = block_free = last = 0
    held = False
    for number in range(f["n_kb"] * f["n_red"] * taps):
        tap = number % taps
        held = held and tap > 0
        if used is not None:
            offered += 0 if number % LIST_BITS else 2
            if not used[number]:
                offered += 1
                continue
        loads = not f["os"] and not (f["hold_weights"] and held)
        ready = max(offered, block_free) + g - 1 if loads else offered
        taken = max(ready, free)
        first, last = slots.run(number // taps // f["n_red"], tap, taken)
        free = last + drained if f["os"] else last
        block_free = last + 1 if f["select"] else first + 1 if loads else 0
        held, offered = True, taken + 1
    if f["os"]:
        return last + DRAIN_CYCLES + drained + 1
    return max(offered, last + 1, slots.summed + SUM_CYCLES + 1)


def _pass_bits(f: Shape, blocks: np.ndarray) -> Sequence[int] | None:
    """Return the bit of each pass in the weight-block list, None where the list is not used."""
    if not f["use_blocks"]:
        return None
    bits = np.unpackbits(np.roll(blocks, -f["blocks_base"]).astype("<u8").view(np.uint8), bitorder="little")
    return np.resize(bits, f["n_kb"] * f["n_red"] * f["n_ky"] * f["n_kx"]).tolist()


class _Slots:
    """The slots of an instruction's passes, of which one waits while its row is on its way.

    Attributes:
        summed: cycle of the last slot that accumulated.
    """

    def __init__(self, f: Shape, n: int):
        self._f, self._n = f, n
        self._plain = f["n_y"] * f["n_x"]
        lines = (f["n_x"] if f["down"] else f["n_y"]) if f["pair"] else 0
        self._count = max(n * (self._plain + lines), 1)
        self._followed: Sequence[int] = range(self._count)
        if self._count > 2 * len(ENDS) and not self._meets():
            self._followed = [number % self._count for number in ENDS]
        self._recent: deque[tuple[int, int]] = deque(maxlen=ROW_CYCLES - 1)  # (row, cycle)
        self.summed = -SUM_CYCLES

    def run(self, kb: int, tap: int, taken: int) -> tuple[int, int]:
        """Return the cycles of the first and last slot of a pass that the sequencer takes in cycle `taken`."""
        if self._f["os"]:
            return taken + 1, taken + self._count
        first, at, before = 0, taken, -1
        for number in self._followed:
            row, accumulates = self._slot(kb, tap, number)
            at += number - before
            before = number
            at = max((cycle + ROW_CYCLES for used, cycle in self._recent if used == row and cycle + ROW_CYCLES > at), default=at)
            if accumulates:
                self._recent.append((row, at))
                self.summed = at
            first = first or at
        if len(self._followed) < self._count:
            self.summed = max(self.summed, self._last_inside(tap, at))
        return first, at

    def _meets(self) -> bool:
        """Return whether slots of one pass come to a row that may be on its way; taps shift all rows alike."""
        f = self._f
        i, y, x = np.ogrid[: self._n, : f["n_y"], : f["n_x"]]
        pixel = (y * f["w"] + x) * f["stride"] if f["scatter"] else y * f["n_x"] + x
        rows = (i * f["c_step_img"] + pixel).ravel()
        return any((rows[apart:] == rows[:-apart]).any() for apart in range(1, ROW_CYCLES))

    def _slot(self, kb: int, tap: int, number: int) -> tuple[int, bool]:
        """Return a slot's accumulator row, and whether it accumulates."""
        f = self._f
        i, pixel = divmod(number, self._plain)
        (ky, kx), (y, x) = divmod(tap, f["n_kx"]), divmod(pixel, f["n_x"])
        sy, sx = y * f["stride"] + ky + f["oy"], x * f["stride"] + kx + f["ox"]
        inside = 0 <= sy < f["h"] and 0 <= sx < f["w"]
        row = kb * f["c_step_kb"] + i * f["c_step_img"] + (sy * f["w"] + sx if f["scatter"] else pixel)
        return row, bool(self._n) and (inside or not (f["scatter"] or f["acc_max"]))

    def _last_inside(self, tap: int, last: int) -> int:
        """Return the cycle of the last slot of a long pass that accumulates, of which the last slot's is `last`."""
        f = self._f
        if not f["scatter"] and not f["acc_max"]:
            return last
        ky, kx = divmod(tap, f["n_kx"])
        y = min(f["n_y"] - 1, (f["h"] - 1 - ky - f["oy"]) // f["stride"])
        x = min(f["n_x"] - 1, (f["w"] - 1 - kx - f["ox"]) // f["stride"])
        if y < 0 or x < 0 or y * f["stride"] + ky + f["oy"] < 0 or x * f["stride"] + kx + f["ox"] < 0:
            return self.summed
        return last - ((f["n_y"] - 1 - y) * f["n_x"] + f["n_x"] - 1 - x)
