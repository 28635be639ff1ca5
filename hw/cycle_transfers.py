"""What load and store engine of the cycle model share: transfers start, are cut into bursts, and are done in order.

A step is one cycle of hw/rtl/transfer_addresses.sv, burst_splitter.sv, transfer_order.sv and overlap_guard.sv.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol

from hw import isa
from hw.config import Config
from hw.cycle_memory import PORTS

UNDER_WAY = 4
"""Transfers between start and done."""

BURST_BEATS = 16
STRIPE_BYTES = 128
"""Bytes that go to one port before the other's turn."""

IMAGE_LIST = isa.MEMORY_NUMBER["IL"]


@dataclass(eq=False, slots=True)
class Transfer:
    """A load or store under way: its memory, the words there that its runs have taken, and its bursts that are out."""

    memory: int
    beats: int  # of a word
    first: int
    end: int
    bursts: int = 0
    closed_at: float = inf


class Port(Protocol):
    """What bursts go to."""

    def put(self, transfer: Transfer, beats: int) -> bool:
        """Take a burst, or return False where there is no room in this cycle."""


class Transfers:
    """The transfers of one engine.

    Args:
        config: of the core.
        ports: where bursts go.
        first_image: in the image list, the others following it; or the whole list.
        guarded: whether a run waits for earlier transfers under way whose words it overlaps, as in the load engine.
    """

    def __init__(self, config: Config, ports: Sequence[Port], first_image: int | Sequence[int], guarded: bool):
        self._config, self._ports, self._first_image, self._guarded = config, ports, first_image, guarded
        self._under_way: deque[Transfer] = deque()
        self._bursts: deque[tuple[int, int]] = deque()  # (port, beats) of the run of `_cut` that is being sent
        self._ready_at: float = 0.0  # from when on addresses are free
        self._offered_at: float = inf  # from when on there is a run
        self._list_under_way = False

    @property
    def idle(self) -> bool:
        """Whether no transfer is under way."""
        return not self._under_way

    def ready(self, t: int) -> bool:
        """Return whether a transfer can start in cycle t; none does beside a load of the image list."""
        return self._ready_at <= t and len(self._under_way) < UNDER_WAY and not self._list_under_way

    def start(self, t: int, f: isa.Instruction, n: int) -> None:
        """Start a transfer of n images in cycle t."""
        self._f, self._word_bytes = f, self._config.word_bytes(isa.MEMORIES[f["mem"]])
        self._current = Transfer(f["mem"], 8 * self._word_bytes // self._config.axi_bits, f["base"], f["base"])
        self._under_way.append(self._current)
        self._list_under_way = f["mem"] == IMAGE_LIST
        self._images, self._image, self._group = n, 0, 0
        if n:
            self._image_at = self._address_at(t + 2)
            self._ready_at, self._offered_at = inf, self._image_at + 1
        else:
            self._ready_at = self._current.closed_at = t + 3

    def done(self, t: int) -> bool:
        """Return whether the first transfer under way is done in cycle t."""
        return bool(self._under_way) and not self._under_way[0].bursts and self._under_way[0].closed_at <= t

    def retire(self, t: int) -> None:
        """Take out the first transfer, which is done in cycle t."""
        self._under_way.popleft()
        if self._list_under_way and not self._under_way:
            self._list_under_way, self._ready_at = False, t + 2

    def next_event(self, t: int) -> float:
        """Return the first cycle behind t in which something may happen on its own."""
        times = [self._ready_at, self._offered_at, *(transfer.closed_at for transfer in self._under_way)]
        return min((at for at in times if at > t), default=inf)

    def cut(self, t: int) -> bool:
        """Take the next run, or send the next burst of the one taken; return whether anything was taken or sent."""
        if self._bursts:
            port, beats = self._bursts[0]
            if not self._ports[port].put(self._cut, beats):
                return False
            self._bursts.popleft()
            self._cut.bursts += 1
            if self._last_run and not self._bursts:
                self._cut.closed_at = t + 1
            return True
        if self._offered_at > t or self._guarded and self._overlaps():
            return False
        self._take_run(t)
        return True

    def _take_run(self, t: int) -> None:
        """Cut the run that is offered in cycle t and find out when the next one is."""
        f = self._f
        at = f["addr"] + self._number() * f["img_stride"] + self._group * f["grp_stride"]
        self._bursts.extend(bursts_of(at, f["run"] * self._word_bytes, self._config.axi_bits // 8))
        self._cut, self._last_run = self._current, False
        self._current.end += f["run"]
        self._group += 1
        if self._group < f["n_grp"]:
            self._offered_at = t + 1
            return
        self._group, self._image = 0, self._image + 1
        if self._image < self._images:
            self._image_at = max(t + 1, self._address_at(self._image_at))
            self._offered_at = self._image_at + 1
        else:
            self._offered_at, self._ready_at, self._last_run = inf, t + 1, True

    def _address_at(self, t: int) -> int:
        """Return when the next image's address is known, work on it beginning behind cycle t."""
        if not self._f["use_list"]:
            return t + 1
        return t + 3 + max(self._number().bit_length(), 1)

    def _number(self) -> int:
        """Return the image number of the run that is next."""
        if not self._f["use_list"]:
            return self._image
        at = self._f["slot"] + self._image
        return self._first_image + at if isinstance(self._first_image, int) else self._first_image[at]

    def _overlaps(self) -> bool:
        """Return whether the run that is offered shares words with another transfer under way."""
        current, end = self._current, self._current.end + self._f["run"]
        return any(
            other is not current and other.memory == current.memory and other.first < end and current.end < other.end
            for other in self._under_way
        )


def bursts_of(start: int, size: int, beat_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield (port, beats) of the bursts of a run: each ends at 16 aligned beats at the latest."""
    burst_bytes, at = BURST_BEATS * beat_bytes, start
    while at < start + size:
        end = min((at // burst_bytes + 1) * burst_bytes, start + size)
        yield at // STRIPE_BYTES % PORTS, (end - at) // beat_bytes
        at = end
