"""A run's virtual time: what the simulated board did is laid on its clock, fed to the sensors and marked; repeats are replayed.

Virtual time does not pass by itself: every stretch of work, of idling or of a signature is laid behind the one before it.
Work that ran once can be laid again (`replay`), which costs no simulation; the marks' notes say so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from host.readings import VIRTUAL_CLOCK
from host.signature import PHASE as SIGNATURE
from host.signature import Busy, Pattern, replayed
from host.trace import Mark
from host.virtual_rails import IDLE_DEFINITION, VirtualRails, core_counts

RUN, ITERATION, REPEAT, PILOT = "run", "iteration", "repeat", "pilot"
IDLE_BEFORE, IDLE_BETWEEN, IDLE_AFTER = "idle before", "idle between", "idle after"
BATCH = 2000
"""Intervals handed to a sensor at once: some 300 kB, far below what a pipe's reader takes in one piece."""


class Feed(Protocol):
    """The part of host.sampler.Sampler that a virtual run needs."""

    def mark(self, mark: Mark) -> None: ...

    def feed(self, sensor_url: str, payload: dict) -> None: ...


@dataclass(frozen=True)
class Stretch:
    """Work of one kind for a stretch of virtual time.

    Attributes:
        duration_s: above 0.
        counts: by node of host.virtual_rails.NODES, spread evenly over it.
        phase: of host.trace.PHASES.
    """

    duration_s: float
    counts: dict[str, float] = field(default_factory=dict)
    phase: str = "other"


class VirtualRun:
    """Lays work on the virtual clock of one simulated board.

    Args:
        sampler: takes marks and feeds.
        sensors: URLs of the simulated sensors, as the sampler was given them.
        rails: of the board, at the virtual time from which on the run goes.
    """

    def __init__(self, sampler: Feed, sensors: Sequence[str], rails: VirtualRails):
        self._sampler = sampler
        self._sensors = tuple(sensors)
        self._rails = rails
        self._waiting: list[list] = []

    @property
    def now_s(self) -> float:
        """End of what has been laid down."""
        return self._rails.now_s

    def lay(self, stretches: Iterable[Stretch]) -> None:
        """Lay stretches down one after the other, without marks."""
        for stretch in stretches:
            for interval in self._rails.advance(stretch.duration_s, stretch.counts):
                self._waiting.append([interval.start_s, interval.end_s, interval.power_w])
            if len(self._waiting) >= BATCH:
                self.flush()

    def flush(self) -> None:
        """Hand everything laid down so far to the sensors."""
        for first in range(0, len(self._waiting), BATCH):
            for url in self._sensors:
                self._sampler.feed(url, {"intervals": self._waiting[first : first + BATCH]})
        self._waiting = []

    @contextlib.contextmanager
    def window(
        self, name: str, phase: str = "other", number: int = 0, iterations: int = 0, note: dict | None = None
    ) -> Iterator[None]:
        """Set the begin mark and, when the block ends, the end mark; one that ends by an exception is marked aborted."""
        self.begin(name, phase, number)
        said = dict(note or {})
        try:
            yield
        except BaseException:
            said["aborted"] = True
            raise
        finally:
            self.end(name, phase, number, iterations, said)

    def begin(self, name: str, phase: str = "other", number: int = 0) -> None:
        """Set a begin mark at the end of what has been laid down."""
        self._sampler.mark(Mark(self.now_s, VIRTUAL_CLOCK, "begin", name, phase, number))

    def end(self, name: str, phase: str = "other", number: int = 0, iterations: int = 0, note: dict | None = None) -> None:
        """Set an end mark there."""
        self._sampler.mark(Mark(self.now_s, VIRTUAL_CLOCK, "end", name, phase, number, iterations, note or {}))

    def iteration(self, stretches: Sequence[Stretch], number: int) -> None:
        """Lay an iteration down as it ran, with a window for itself and one for each of its phases, and feed it."""
        with self.window(ITERATION, number=number, iterations=1):
            for stretch in stretches:
                with self.window(stretch.phase, stretch.phase, number):
                    self.lay([stretch])
        self.flush()

    def idle(self, duration_s: float, name: str = "", number: int = 0) -> None:
        """Let the board rest; with a name, in a window of that name."""
        note = {"definition": IDLE_DEFINITION}
        with self.window(name, "idle", number, note=note) if name else contextlib.nullcontext():
            self.lay([Stretch(duration_s, phase="idle")])
        self.flush()

    def signature(self, name: str, pattern: Pattern, busy: Busy) -> None:
        """Lay a signature down, as repetitions of a busy segment that ran once."""
        parts, note = replayed(pattern, busy)
        counts = core_counts(busy.counters, busy.activity)
        with self.window(name, SIGNATURE, note=note):
            for part in parts:
                self.lay([Stretch(part.duration_s, {node: count * part.times for node, count in counts.items()}, SIGNATURE)])
        self.flush()

    def replay(self, name: str, recorded: Sequence[Sequence[Stretch]], times: int, number: int = 0) -> None:
        """Lay recorded iterations down `times` times, all of them in one window whose end mark says so."""
        if times < 1 or not recorded:
            raise ValueError(f"{len(recorded)} recorded iterations replayed {times} times: at least one, at least once")
        note = {"replayed": {"iterations": len(recorded), "times": times, "simulated_once": True}}
        with self.window(name, number=number, iterations=len(recorded) * times, note=note):
            for _ in range(times):
                for stretches in recorded:
                    self.lay(stretches)
        self.flush()
