"""Cycles of the array, the vector unit and the coefficient unit: when an instruction is done, and when which memory is used.

Every time follows from the instruction's fields, cycle by cycle as hw/rtl has it; only division and square root, whose
time depends on their operands, count with a typical one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from hw import isa

READ, WRITE = 0, 1
U, V, C = (isa.MEMORY_NUMBER[name] for name in "UVC")

SCALAR_CYCLES = {"mul": 2, "shi": 2, "shr": 2, "div": 18, "sqrt": 29}
"""Cycles of a scalar operation where they are not 1; of division and root as in the batch norms of digits and ResNet-8."""

SUM_CYCLES = 8
"""Cycles from a weight-stationary slot until its row is written."""

DRAIN_CYCLES = 7
"""Cycles from the last slot of an output-stationary pass until its rows are written, besides one per row."""

FEW_SLOTS = 4
"""Passes of so many slots may come to a row again while it is on its way."""


def array_cycles(f: isa.Instruction, n: int, g: int, blocks: Sequence[int] | None) -> int:
    """Return the cycles from the start of an array instruction until it is done.

    Args:
        n: images to run for.
        g: side of the array.
        blocks: bit of each pass in the weight-block list, where it is used.
    """
    taps = f["n_ky"] * f["n_kx"]
    slots = max(n * f["n_y"] * f["n_x"], 1)
    # The cycle in which the next pass is offered, from which the sequencer takes it, from which W is free for its block.
    at = 3 + max(abs(f["oy"]).bit_length(), f["stride"].bit_length())
    free = block_free = summed = last = 0
    held, recent = False, _Recent()
    for number in range(f["n_kb"] * f["n_red"] * taps):
        tap = number % taps
        held = held and tap > 0
        if blocks is not None:
            at += 0 if number % 64 else 2
            if not blocks[number]:
                at += 1
                continue
        loads = not f["os"] and not (f["hold_weights"] and held)
        ready = max(at, block_free) + g - 1 if loads else at
        taken = max(ready, free)
        first, last = taken + 1, taken + slots
        if slots <= FEW_SLOTS and f["hold_weights"]:
            first, last = recent.steps(f, n, number // taps // f["n_red"], tap, taken)
        held, at = True, taken + 1
        free = last + g if f["os"] else last
        block_free = last + 1 if f["select"] else first + 1
        behind = _slots_behind(f, n, tap)
        summed = last - behind if behind is not None else summed
    if f["os"]:
        return last + DRAIN_CYCLES + g + 1
    return max(at, last + 1, summed + SUM_CYCLES + 1 if summed else 0)


def _slots_behind(f: isa.Instruction, n: int, tap: int) -> int | None:
    """Return how many slots of a pass come behind the last one that accumulates; None where none does."""
    if not n:
        return None
    if not f["scatter"] and not f["acc_max"]:
        return 0
    ky, kx = divmod(tap, f["n_kx"])
    y = min(f["n_y"] - 1, (f["h"] - 1 - ky - f["oy"]) // f["stride"])
    x = min(f["n_x"] - 1, (f["w"] - 1 - kx - f["ox"]) // f["stride"])
    if y < 0 or x < 0 or y * f["stride"] + ky + f["oy"] < 0 or x * f["stride"] + kx + f["ox"] < 0:
        return None
    return (f["n_y"] - 1 - y) * f["n_x"] + f["n_x"] - 1 - x


class _Recent:
    """Rows that the last slots accumulated into; a slot to the same row waits until two cycles have passed."""

    def __init__(self):
        self._used: dict[int, int] = {}

    def steps(self, f: isa.Instruction, n: int, kb: int, tap: int, taken: int) -> tuple[int, int]:
        """Return the cycles of a pass's first and last slot, taken over by the sequencer in cycle `taken`."""
        ky, kx = divmod(tap, f["n_kx"])
        cycles = []
        at = taken
        for i in range(max(n, 1)):
            for pixel in range(f["n_y"] * f["n_x"] if n else 1):
                y, x = divmod(pixel, f["n_x"])
                sy, sx = y * f["stride"] + ky + f["oy"], x * f["stride"] + kx + f["ox"]
                offset = sy * f["w"] + sx if f["scatter"] else pixel
                row = f["c_base"] + kb * f["c_step_kb"] + i * f["c_step_img"] + offset
                at = max(at + 1, self._used.get(row, -3) + 3)
                inside = 0 <= sy < f["h"] and 0 <= sx < f["w"]
                if n and (inside or not (f["scatter"] or f["acc_max"])):
                    self._used[row] = at
                cycles.append(at)
        return cycles[0], cycles[-1]


@dataclass(frozen=True)
class _Use:
    """A memory is used in the cycles from `first` to `last`, every one or every `step`th."""

    first: int
    last: int
    step: int = 1

    def __contains__(self, t: int) -> bool:
        return self.first <= t <= self.last and not (t - self.first) % self.step


class VectorUnit:
    """The vector unit: when it is free, and in which cycles it uses the memories it shares.

    Attributes:
        ready_at: cycle from which it takes an instruction.
        done_at: cycle in which the one under way is done.
    """

    def __init__(self, g: int):
        self._g = g
        self.ready_at = 0
        self.done_at: float = inf
        self._uses: dict[tuple[int, int], list[_Use]] = {}

    def uses(self, way: int, memory: int, t: int) -> bool:
        """Return whether it reads (writes) a memory in cycle t."""
        return any(t in use for use in self._uses.get((way, memory), ()))

    def start(self, t: int, f: isa.Instruction, n: int) -> None:
        """Take an instruction in cycle t, for n images."""
        wide = f["u_src"] == 2 or f["v_src"] == 2 or f["dst_wide"]
        words = 2 * self._g + 2 if f["per_channel"] else isa.RECORD_WORDS
        position = 1 + -(-f["slot"].bit_length() // 2) if f["stochastic"] else 0
        run = t + 1 + max(words, position)
        every, vectors = 4 if wide else 1, n * f["img_px"]
        last = run + every * vectors - 1
        self._uses = {(READ, C): [_Use(t + 1, t + words)], (WRITE, C): []}
        for memory, source in ((U, f["u_src"]), (V, f["v_src"])):
            if source in (1, 2):
                self._uses[READ, memory] = [_Use(run + every - 1, last, every) if source == 1 else _Use(run, last)]
        if f["dst"] in (2, 3):
            result = _Use(run + 13, last + 13) if f["dst_wide"] else _Use(run + every + 9, last + 10, every)
            self._uses[WRITE, {2: U, 3: V}[f["dst"]]] = [result]
        if f["sums"] or f["max"]:
            written = self._flush(f, last + 14 if vectors else run + 1)
            self.done_at = self.ready_at = written + 2
        else:
            self.done_at = self.ready_at = (last + 11 + 3 * f["dst_wide"]) if vectors else run + 1

    def _flush(self, f: isa.Instruction, t: int) -> int:
        """Note the words of C that sums and maximum use from cycle t on, and return the cycle of the last one written."""
        reads, writes, lanes = self._uses[READ, C], self._uses[WRITE, C], 2 * self._g
        last = t - 1
        if f["sums"]:
            behind = 0 if f["sums_first"] else 2
            last = t + behind + lanes - 1
            writes.append(_Use(t + behind, last))
            if behind:
                reads.append(_Use(t, t + lanes - 1))
        if f["max"]:
            reads.append(_Use(last + 1, last + 1))
            last += 1 + max(self._g // 4, 2)
            writes.append(_Use(last, last))
        return last


@dataclass(frozen=True)
class ScalarOp:
    """A scalar instruction: its cycles, and of ldc, lds and stc which table it is of and its word there."""

    cycles: int
    load: bool
    store: bool
    scalar: bool
    imm: int


class CoefficientUnit:
    """The coefficient unit, operation by operation: its words of C wait for the vector unit.

    Args:
        vector: the vector unit.

    Attributes:
        next_at: cycle of its next step.
        done_at: cycle in which the instruction under way is done.
    """

    def __init__(self, vector: VectorUnit):
        self._vector = vector
        self._ops: Sequence[ScalarOp] = ()
        self._used = [-1, -1]
        self.next_at: float = inf
        self.done_at: float = inf
        self.ready_at = 0.0

    def start(self, t: int, f: isa.Instruction, ops: Sequence[ScalarOp]) -> None:
        """Take an instruction in cycle t."""
        self._f, self._ops, self._channel, self._op = f, ops, 0, 0
        self._storing: int | None = None
        self.next_at, self.ready_at = t + 1, inf

    def uses(self, way: int, t: int) -> bool:
        """Return whether it asks to read (write) a word of C in cycle t, that of its last step or before."""
        return self._used[way] == t

    def step(self, t: int) -> None:
        """Do what happens in cycle t, which is `next_at`."""
        self.next_at = t + 1
        stored = self._storing
        if stored is not None:
            self._used[WRITE] = t
            if self._vector.uses(WRITE, C, t):
                return
            self._storing = None
        if self._channel == self._f["ch_count"]:
            self.done_at, self.ready_at, self.next_at = t, t + 1, inf
            return
        op = self._ops[self._op]
        word = op.imm + (self._f["sc_base"] if op.scalar else self._f["ch_base"] + self._channel * self._f["ch_stride"])
        if op.load:
            if word == stored:
                return
            self._used[READ] = t
            if self._vector.uses(READ, C, t):
                return
        if op.store:
            self._storing = word
        self.next_at = t + op.cycles
        self._op += 1
        if self._op == len(self._ops):
            self._op, self._channel = 0, self._channel + 1
