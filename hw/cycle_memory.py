"""The simulated board's DDR as the cycle model sees it, without its data and without random stalls: hw/sim/ddr.cpp.

Two ports share bytes per cycle. A read burst's first beat comes after the latency, one beat a cycle per port; a write
burst's response comes the latency after its last beat. What stands at a port in a cycle was decided at the end of the one before.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf

PORTS = 2
BURSTS = 8
"""Bursts of each direction that a port takes."""

WRITE_BEATS = 32
"""Beats that a port's write buffer takes."""

LOAD, FETCH = 1, 2
"""Whom a read burst belongs to."""

CREDIT_UNIT = 256
"""Bytes per cycle are counted in parts of a byte."""


@dataclass(frozen=True)
class Memory:
    """Settings: bytes per cycle that both ports share, and cycles from a request to its first data."""

    bytes_per_cycle: float = 16.0
    latency: int = 40


class _ReadChannel:
    """Read bursts of a port.

    Attributes:
        ready: whether an address is taken in this cycle.
        beat: LOAD or FETCH while a beat stands at the port, which its reader sets to 0; `last` of its burst.
    """

    __slots__ = ("ready", "beat", "last", "bursts", "_latency")

    def __init__(self, latency: int):
        self.ready, self.beat, self.last = True, 0, False
        self.bursts: deque[list[int]] = deque()  # [first cycle, beats left, owner]
        self._latency = latency

    def ask(self, t: int, beats: int, owner: int) -> None:
        """Take a burst's address in cycle t."""
        self.bursts.append([t + self._latency, beats, owner])

    def move(self, t: int) -> bool:
        """Put the next beat to the port and return whether there is one and room for it."""
        if self.beat or not self.bursts:
            return False
        burst = self.bursts[0]
        if burst[0] > t:
            return False
        burst[1] -= 1
        self.beat, self.last = burst[2], not burst[1]
        if self.last:
            self.bursts.popleft()
        return True

    def settle(self, t: int) -> None:
        """Decide what stands at the port in the next cycle."""
        self.ready = len(self.bursts) < BURSTS

    def next_event(self) -> float:
        """Return when a beat may come, should nobody else do anything."""
        return inf if self.beat or not self.bursts else self.bursts[0][0]


class _WriteChannel:
    """Write bursts of a port.

    Attributes:
        ready, data_ready: whether an address, or a beat, is taken in this cycle.
        response: whether one stands at the port, until its reader clears it.
    """

    __slots__ = ("ready", "data_ready", "response", "bursts", "beats", "responses", "_latency")

    def __init__(self, latency: int):
        self.ready, self.data_ready, self.response = True, True, False
        self.bursts: deque[int] = deque()  # beats left
        self.beats = 0
        self.responses: deque[int] = deque()  # cycle
        self._latency = latency

    def move(self, t: int) -> bool:
        """Take a beat out of the buffer and return whether there is one whose burst is known."""
        if not self.beats or not self.bursts:
            return False
        self.beats -= 1
        self.bursts[0] -= 1
        if not self.bursts[0]:
            self.bursts.popleft()
            self.responses.append(t + self._latency)
        return True

    def settle(self, t: int) -> None:
        """Decide what stands at the port in the next cycle."""
        self.ready = len(self.bursts) < BURSTS
        self.data_ready = self.beats < WRITE_BEATS
        if self.responses and not self.response and self.responses[0] <= t:
            self.responses.popleft()
            self.response = True

    def next_event(self) -> float:
        """Return when a response may come, should nobody else do anything."""
        return self.responses[0] if self.responses and not self.response else inf


class Ddr:
    """Both ports.

    Args:
        memory: settings.
        beat_bytes: of a port.

    Attributes:
        reads, writes: the channels by port.
    """

    def __init__(self, memory: Memory, beat_bytes: int):
        self.reads = [_ReadChannel(memory.latency) for _ in range(PORTS)]
        self.writes = [_WriteChannel(memory.latency) for _ in range(PORTS)]
        self._channels = self.reads + self.writes
        self._turns = [self._channels[first:] + self._channels[:first] for first in range(len(self._channels))]
        self._per_cycle, self._beat = int(memory.bytes_per_cycle * CREDIT_UNIT), beat_bytes * CREDIT_UNIT
        self._most = max(self._per_cycle, self._beat) + self._beat
        self._credit, self._at = self._most, 0

    def clock(self, t: int) -> bool:
        """End cycle t, after all handshakes in it; return whether anything moved."""
        credit = min(self._credit + (t - self._at) * self._per_cycle, self._most)
        before = credit
        for channel in self._turns[t & 3]:
            if credit < self._beat:
                break
            if channel.move(t):
                credit -= self._beat
        self._credit, self._at = credit, t
        for channel in self._channels:
            channel.settle(t)
        return credit != before

    def next_event(self, t: int) -> float:
        """Return the first cycle behind t in which something may happen on its own."""
        if self._credit < self._beat:
            return t + 1
        return min(channel.next_event() for channel in self._channels)
