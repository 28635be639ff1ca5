"""The two read ports as the cycle predictor sees them: bursts of loads and fetches, each port in its own order.

A load is cut into bursts at stripes, which also choose the port. Bursts are asked for in order, one a cycle, with at
most eight of loads outstanding on a port. The ports answer independently: a later load whose bursts lie on the
other port overtakes. Words enter the scratchpads one a cycle, shared by the ports that have some.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from hw import isa
from hw.config import Config

PORTS, STRIPE_BYTES, OUTSTANDING = 2, 128, 8
"""Memory ports, the bytes that go to one before the other's turn, and the bursts of loads under way on each."""

REQUEST_CYCLES = 4
"""Cycles from asking for a burst to its first beat, besides the memory's latency."""

FETCH = -1
"""Owner of an instruction's burst."""

SOON = 1e-6


@dataclass
class _Burst:
    owner: int
    remaining: float
    ready_at: float


class ReadPorts:
    """Bursts asked for and on their way. Times are in cycles, sizes in bytes.

    Args:
        config: of the core.
        latency: of the memory.

    Attributes:
        fetched: instructions that have arrived.
        left: load to its bursts that have not arrived.
    """

    def __init__(self, config: Config, latency: int):
        self._beat = config.axi_bits // 8
        self._after = latency + REQUEST_CYCLES
        self._ports: list[deque[_Burst]] = [deque() for _ in range(PORTS)]
        self._outstanding = [0] * PORTS
        self._waiting: deque[tuple[int, int, int]] = deque()
        self._free_at = 0.0
        self.fetched = 0
        self.left: dict[int, int] = {}

    @property
    def asking(self) -> bool:
        """Whether bursts of a load still wait to be asked for."""
        return bool(self._waiting)

    def load(self, owner: int, runs: Iterator[tuple[int, int]]) -> None:
        """Take up a load of runs (first byte, bytes)."""
        bursts = [(owner, *burst) for start, size in runs for burst in bursts_of(start, size)]
        self.left[owner] = len(bursts)
        self._waiting.extend(bursts)

    def fetch(self, now: float) -> None:
        """Ask for an instruction, on port 0."""
        self._ports[0].append(_Burst(FETCH, isa.INSTRUCTION_BYTES, now + self._after))

    def ask(self, now: float) -> None:
        """Ask for the bursts whose turn it is."""
        while self._waiting and self._outstanding[self._waiting[0][1]] < OUTSTANDING and self._free_at <= now + SOON:
            owner, port, size = self._waiting.popleft()
            self._outstanding[port] += 1
            self._ports[port].append(_Burst(owner, size, now + self._after))
            self._free_at = now + 1

    def heads(self, now: float) -> list[_Burst | None]:
        """Return the burst whose beats each port has to give, or None."""
        return [port[0] if port and port[0].ready_at <= now + SOON else None for port in self._ports]

    def first_load(self, now: float) -> int | None:
        """Return the load whose words the ports have to give, the one on port 0 where there are two, or None."""
        return next((head.owner for head in self.heads(now) if head and head.owner != FETCH), None)

    def rates(self, now: float, words: float) -> list[float]:
        """Return bytes per cycle by port; `words` is what the scratchpads take."""
        heads = self.heads(now)
        loads = sum(head is not None and head.owner != FETCH for head in heads)
        return [
            0.0 if head is None else self._beat if head.owner == FETCH else min(self._beat, words / loads) for head in heads
        ]

    def next_event(self, now: float, rates: list[float]) -> float:
        """Return when a burst begins or ends, or when the next one may be asked for."""
        times = [inf]
        for port, rate in zip(self._ports, rates, strict=True):
            if port and port[0].ready_at > now + SOON:
                times.append(port[0].ready_at)
            elif port and rate:
                times.append(now + port[0].remaining / rate)
        if self._free_at > now:
            times.append(self._free_at)
        return min(times)

    def advance(self, cycles: float, rates: list[float]) -> None:
        """Let bytes flow at `rates` and take out the bursts that have arrived."""
        for number, (port, rate) in enumerate(zip(self._ports, rates, strict=True)):
            if not rate:
                continue
            port[0].remaining -= rate * cycles
            if port[0].remaining <= SOON:
                owner = port.popleft().owner
                if owner == FETCH:
                    self.fetched += 1
                else:
                    self._outstanding[number] -= 1
                    self.left[owner] -= 1


def bursts_of(start: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield (port, bytes) of the bursts of a run: each ends at the end of its stripe at the latest."""
    at = start
    while at < start + size:
        end = min((at // STRIPE_BYTES + 1) * STRIPE_BYTES, start + size)
        yield at // STRIPE_BYTES % PORTS, end - at
        at = end
