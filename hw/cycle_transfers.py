"""What load and store engine of the cycle model share: transfers start, are cut into bursts, and are done in order.

A step is one cycle of hw/rtl/transfer_addresses.sv, burst_splitter.sv, transfer_order.sv and overlap_guard.sv.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import NamedTuple, Protocol

from hw import isa
from hw.cycle_issue import Work
from hw.cycle_memory import PAST, PORTS
from hw.shapes import TURN_BYTES, UNDER_WAY

BURST_BEATS = 16
STRIPE_BYTES = 128
"""Bytes that go to one port before the other's turn."""

LONG_PAST = -32
"""An image's work began so long ago that its address is known: image numbers have 16 bits."""

IMAGE_LIST = isa.MEMORY_NUMBER["IL"]


class TransferWork(NamedTuple):
    """A load or store.

    Attributes:
        first: word of the memory that it begins at, where a load near it shares words with it; else None.
        beats, run: of a word; words of a run.
        groups, grp_stride: runs of an image, and bytes between two.
        images: of each, (cycles until its address is known, address), addresses less whole turns of the ports.
    """

    memory: int
    first: int | None
    beats: int
    run: int
    groups: int
    grp_stride: int
    images: tuple[tuple[int, int], ...]


@dataclass(eq=False, slots=True)
class Transfer:
    """A load or store under way: its memory, the words there that its runs have taken, and its bursts that are out.

    Attributes:
        first: None where no other one under way shares words with it.
        beats: of a word.
    """

    memory: int
    beats: int
    first: int | None
    words: int = 0
    bursts: int = 0
    closed_at: float = inf


class Port(Protocol):
    """What bursts go to."""

    def put(self, transfer: Transfer, beats: int) -> bool:
        """Take a burst, or return False where there is no room in this cycle."""


class Transfers:
    """The transfers of one engine.

    Args:
        beat_bytes: of a port.
        ports: where bursts go.
        guarded: whether a run waits for earlier transfers under way whose words it overlaps, as in the load engine.

    Attributes:
        under_way: transfers between start and done.
    """

    def __init__(self, beat_bytes: int, ports: Sequence[Port], guarded: bool):
        self._beat_bytes, self._ports, self._guarded = beat_bytes, ports, guarded
        self.under_way: deque[Transfer] = deque()
        self._bursts: deque[tuple[int, int]] = deque()  # (port, beats) of the run of `_cut` that is being sent
        self._ready_at: float = 0.0  # from when on addresses are free
        self._cut: Transfer | None = None
        self._last_run = self._list_under_way = False
        self._end()

    def ready(self, t: int) -> bool:
        """Return whether a transfer can start in cycle t; none does beside a load of the image list."""
        return self._ready_at <= t and len(self.under_way) < UNDER_WAY and not self._list_under_way

    def start(self, t: int, work: Work) -> None:
        """Start a transfer in cycle t."""
        part: TransferWork = work.part
        self._work, self._image, self._group = work, 0, 0
        self._current = Transfer(part.memory, part.beats, part.first)
        self.under_way.append(self._current)
        self._list_under_way = part.memory == IMAGE_LIST
        if part.images:
            self._image_at = t + 2 + part.images[0][0]
            self._ready_at, self._offered_at = inf, self._image_at + 1
        else:
            self._ready_at = self._current.closed_at = t + 3
            self._end()

    def done(self, t: int) -> bool:
        """Return whether the first transfer under way is done in cycle t."""
        first = self.under_way[0] if self.under_way else None
        return first is not None and first.closed_at <= t and not first.bursts

    def retire(self, t: int) -> None:
        """Take out the first transfer, which is done in cycle t."""
        self.under_way.popleft()
        if self._list_under_way and not self.under_way:
            self._list_under_way, self._ready_at = False, t + 2

    def next_event(self, t: int) -> float:
        """Return the first cycle behind t in which something may happen on its own."""
        times = [self._ready_at, self._offered_at, *(transfer.closed_at for transfer in self.under_way)]
        return min((at for at in times if at > t), default=inf)

    def rebase(self, t: int) -> None:
        """Count cycles from t on."""
        self._ready_at, self._offered_at = max(self._ready_at - t, PAST), max(self._offered_at - t, PAST)
        self._image_at = max(self._image_at - t, LONG_PAST)
        for transfer in self.under_way:
            transfer.closed_at = max(transfer.closed_at - t, PAST)

    def cut(self, t: int) -> bool:
        """Take the next run, or send the next burst of the one taken; return whether anything was taken or sent."""
        if self._bursts:
            port, beats = self._bursts[0]
            if not self._ports[port].put(self._cut, beats):
                return False
            self._bursts.popleft()
            self._cut.bursts += 1
            if not self._bursts:
                if self._last_run:
                    self._cut.closed_at = t + 1
                self._cut, self._last_run = None, False
            return True
        if self._offered_at > t or self._guarded and self._overlaps():
            return False
        self._take_run(t)
        return True

    def _take_run(self, t: int) -> None:
        """Cut the run that is offered in cycle t and find out when the next one is."""
        part: TransferWork = self._work.part
        at = part.images[self._image][1] + self._group * part.grp_stride
        self._bursts.extend(bursts_of(at % TURN_BYTES, part.run * part.beats, self._beat_bytes))
        self._cut, self._last_run = self._current, False
        if part.first is not None:
            self._current.words += part.run
        self._group += 1
        if self._group < part.groups:
            self._offered_at = t + 1
            return
        self._group, self._image = 0, self._image + 1
        if self._image < len(part.images):
            self._image_at = max(t + 1, self._image_at + part.images[self._image][0])
            self._offered_at = self._image_at + 1
        else:
            self._ready_at, self._last_run = t + 1, True
            self._end()

    def _end(self) -> None:
        """Forget the transfer whose runs have all been taken."""
        self._work = self._current = None
        self._image = self._group = 0
        self._offered_at, self._image_at = inf, LONG_PAST

    def _overlaps(self) -> bool:
        """Return whether the run that is offered shares words with another transfer under way."""
        current = self._current
        if current.first is None:
            return False
        start = current.first + current.words
        end = start + self._work.part.run
        return any(
            other is not current and other.memory == current.memory and other.first is not None
            and other.first < end and start < other.first + other.words
            for other in self.under_way
        )


@lru_cache(maxsize=4096)
def bursts_of(start: int, beats: int, beat_bytes: int) -> tuple[tuple[int, int], ...]:
    """Return (port, beats) of the bursts of a run: each ends at 16 aligned beats at the latest."""
    burst_bytes, at, end, found = BURST_BEATS * beat_bytes, start, start + beats * beat_bytes, []
    while at < end:
        behind = min((at // burst_bytes + 1) * burst_bytes, end)
        found.append((at // STRIPE_BYTES % PORTS, (behind - at) // beat_bytes))
        at = behind
    return tuple(found)
