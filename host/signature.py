"""A power signature: the accelerator works and rests in a pseudo-random pattern that a power trace can be searched for.

A meter with a clock of its own sees the pattern when it happens; the host knows when it happened. Played before and after a run
it gives the offset and the rate between the two clocks without an extra wire (measurements/alignment.py).

The pattern is a maximum-length sequence: its autocorrelation has one peak, as wide as a chip, and is flat elsewhere.
S. W. Golomb, "Shift Register Sequences", 1967.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from host.board import Board, BoardError
from host.readings import HOST_CLOCK
from host.runtime import check_identity
from host.trace import Mark
from hw.compile import CLEAR
from hw.compile_signature import BUSY, compile_signature
from hw.program import Program

PHASE = "signature"
BEFORE, AFTER = "signature before", "signature after"

TAPS = {5: (5, 3), 6: (6, 5), 7: (7, 6), 8: (8, 6, 5, 4), 9: (9, 5), 10: (10, 7)}
"""Exponents of a primitive polynomial by order: the feedback of the shift register."""

CHIP_S = 0.0203
"""Twenty values of a 1 kHz meter, and a little more: edges fall on every phase between two of its values."""

CHIPS_PER_VALUE = 2.03
"""A chip is at least twice as long as what a slower meter renews or averages."""

BUSY_S = 0.002
"""Length of the busy segment that an "on" is made of; the stamps say how long the "on" really was."""


def m_sequence(order: int) -> np.ndarray:
    """Return the chips of a maximum-length sequence, bool (2^order - 1,). Raises ValueError for an order without a polynomial."""
    if order not in TAPS:
        raise ValueError(f"no signature of order {order}: there are {sorted(TAPS)}")
    register = [1] * order
    chips = []
    for _ in range((1 << order) - 1):
        chips.append(register[-1])
        feedback = 0
        for tap in TAPS[order]:
            feedback ^= register[tap - 1]
        register = [feedback, *register[:-1]]
    return np.array(chips, bool)


@dataclass(frozen=True)
class Pattern:
    """When the array works: chips of equal length, on or off.

    Attributes:
        order: of the maximum-length sequence, which has 2^order - 1 chips.
        chip_s: length of one.
    """

    order: int = 7
    chip_s: float = CHIP_S

    def __post_init__(self):
        m_sequence(self.order)
        if not 0 < self.chip_s < float("inf"):
            raise ValueError(f"a signature with chips of {self.chip_s} s: they last longer than nothing")

    @classmethod
    def for_meter(cls, refresh_s: float, averaging_s: float = 0.0, order: int = 7) -> Pattern:
        """Return the pattern for a meter that renews its value every `refresh_s` and averages over `averaging_s`."""
        return cls(order, max(CHIP_S, CHIPS_PER_VALUE * max(refresh_s, averaging_s)))

    @property
    def duration_s(self) -> float:
        """From the start of the first chip to the end of the last."""
        return self.chip_s * ((1 << self.order) - 1)

    @property
    def on_s(self) -> list[tuple[float, float]]:
        """Return the stretches of work as (start, end), relative to the start of the first chip; neighbours are one."""
        chips = np.concatenate([[False], m_sequence(self.order), [False]])
        edges = np.flatnonzero(chips[1:] != chips[:-1]) * self.chip_s
        return [(float(start), float(end)) for start, end in edges.reshape(-1, 2)]


@dataclass(frozen=True)
class Busy:
    """The busy segment as it ran once: seconds, counters and activity, to be replayed."""

    seconds: float
    counters: dict[str, int]
    activity: dict[str, int]


@dataclass(frozen=True)
class Stretch:
    """A part of a replayed signature: `times` busy segments one after the other, or rest where `times` is 0."""

    duration_s: float
    times: int


@dataclass(frozen=True)
class Played:
    """A signature as it happened.

    Attributes:
        start_s: of the first chip, on the marks' clock.
        on_s: stretches of work, relative to it.
        segments: busy segments run in them.
    """

    start_s: float
    on_s: list[tuple[float, float]] = field(default_factory=list)
    segments: int = 0


class SignaturePlayer:
    """Plays signatures on an opened board; its program lies behind `base` in DDR, in front of it nothing is touched.

    Args:
        base: bytes of DDR that are in use.
        busy_s: length of the busy segment.
        seed: of its random operands.

    Raises:
        BoardError: another configuration, or too little DDR behind `base`.
        CompileError: a busy segment of a length that one instruction cannot have.
    """

    def __init__(self, board: Board, base: int = 0, busy_s: float = BUSY_S, seed: int = 0):
        self.board = board
        self.program = compile_signature(board.config, round(busy_s * board.clk_hz), base, seed)
        check_identity(board, self.program)
        self._write(self.program)
        self._run(CLEAR)

    def busy(self) -> Busy:
        """Run the busy segment once and return what it took. Raises BoardError where the board has no clock, or on an error."""
        counters = self._run(BUSY)
        if not counters["cycles"]:
            raise BoardError("this board has no clock, so it can play no signature: use the simulated board or a real one")
        return Busy(counters["cycles"] / self.board.clk_hz, counters, self.board.activity())

    def play(
        self, name: str, pattern: Pattern, mark: Callable[[Mark], None], number: int = 0,
        now_s: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep,
    ) -> Played:
        """Play the pattern now, in real time, between a begin and an end mark; the end mark says when the array really worked.

        Args:
            name: of the window, BEFORE or AFTER.
            mark: takes the marks, for example `Sampler.mark`.
            now_s: the host's monotonic clock.

        Raises:
            BoardError: the core stopped; the board is reset, and the window's end is marked aborted.
        """
        start_s = now_s()
        mark(Mark(start_s, HOST_CLOCK, "begin", name, PHASE, number))
        on_s: list[tuple[float, float]] = []
        segments, finished = 0, False
        try:
            for begin_s, end_s in pattern.on_s:
                _sleep_until(start_s + begin_s, now_s, sleep)
                from_s = now_s()
                last_s = from_s
                # One more where the chip then ends nearer to its time than without it.
                while (ran_s := now_s()) + (ran_s - last_s) / 2 < start_s + end_s:
                    last_s = ran_s
                    self._run(BUSY)
                    segments += 1
                if ran_s > from_s:
                    on_s.append((from_s - start_s, ran_s - start_s))
            _sleep_until(start_s + pattern.duration_s, now_s, sleep)
            finished = True
        finally:
            if not finished:
                self.board.stop()
            mark(Mark(now_s(), HOST_CLOCK, "end", name, PHASE, number, note=note(pattern, on_s, aborted=not finished)))
        return Played(start_s, on_s, segments)

    def _run(self, segment: str) -> dict[str, int]:
        entry = self.program.segments[segment]
        self.board.start(entry.address, entry.count)
        return self.board.wait()

    def _write(self, program: Program) -> None:
        for name, array in program.tensors.items():
            self.board.write(program.memory[name].offset, program.memory.encode(name, array))
        for name, entry in program.segments.items():
            self.board.write(entry.address, program.code[name])


def note(pattern: Pattern, on_s: list[tuple[float, float]], aborted: bool = False, replayed: str = "") -> dict:
    """Return the note of a signature's end mark, from which `measurements.alignment` knows the pattern's edges.

    Args:
        on_s: when the array really worked, relative to the begin mark.
        replayed: what was simulated and what was repeated; empty where all of it ran.
    """
    said = {"order": pattern.order, "chip_s": pattern.chip_s, "on_s": [[start, end] for start, end in on_s]}
    return {**said, **({"aborted": True} if aborted else {}), **({"replayed": replayed} if replayed else {})}


def replayed(pattern: Pattern, busy: Busy) -> tuple[list[Stretch], dict]:
    """Return the pattern as whole repetitions of a busy segment that ran once, for virtual time, and its mark's note.

    Every "on" starts at its chip's start and is as long as the busy segments in it; the rest follows.
    """
    stretches: list[Stretch] = []
    on_s: list[tuple[float, float]] = []
    at_s = 0.0
    for start_s, end_s in pattern.on_s:
        if start_s > at_s:
            stretches.append(Stretch(start_s - at_s, 0))
        times = max(1, round((end_s - start_s) / busy.seconds))
        on_s.append((start_s, start_s + times * busy.seconds))
        stretches.append(Stretch(times * busy.seconds, times))
        at_s = on_s[-1][1]
    if pattern.duration_s > at_s:
        stretches.append(Stretch(pattern.duration_s - at_s, 0))
    segments = sum(stretch.times for stretch in stretches)
    said = f"a busy segment of {busy.counters['cycles']} cycles was simulated once and its activity replayed {segments} times"
    return stretches, note(pattern, on_s, replayed=said)


def _sleep_until(until_s: float, now_s: Callable[[], float], sleep: Callable[[float], None]) -> None:
    left_s = until_s - now_s()
    if left_s > 0:
        sleep(left_s)
