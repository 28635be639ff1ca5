"""The simulated board's DDR as the cycle model sees it, without its data and without random stalls: hw/sim/ddr.cpp.

Two ports share bytes per cycle; where these are short, reads and writes of both ports take turns. A read burst's first beat
comes after the latency, one beat a cycle per port; a write burst's response comes the latency after its last beat. What stands
at a port in a cycle was decided at the end of the one before.
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
        beat: LOAD or FETCH while a beat stands at the port, which its reader sets to 0; `last` of its burst.
    """

    __slots__ = ("beat", "last", "_bursts", "_latency")

    def __init__(self, latency: int):
        self.beat, self.last = 0, False
        self._bursts: deque[list[int]] = deque()  # [first cycle, beats left, owner]
        self._latency = latency

    @property
    def ready(self) -> bool:
        """Whether an address is taken in this cycle."""
        return len(self._bursts) < BURSTS

    def ask(self, t: int, beats: int, owner: int) -> None:
        """Take a burst's address in cycle t."""
        self._bursts.append([t + self._latency, beats, owner])

    def move(self, t: int) -> bool:
        """Put the next beat to the port and return whether there is one and room for it."""
        if self.beat or not self._bursts:
            return False
        burst = self._bursts[0]
        if burst[0] > t:
            return False
        burst[1] -= 1
        self.beat, self.last = burst[2], not burst[1]
        if self.last:
            self._bursts.popleft()
        return True

    def next_event(self) -> float:
        """Return when a beat may come, should nobody else do anything."""
        return inf if self.beat or not self._bursts else self._bursts[0][0]


class _WriteChannel:
    """Write bursts of a port.

    Attributes:
        response: whether one stands at the port, until its reader clears it.
    """

    __slots__ = ("response", "_bursts", "_beats", "_responses", "_latency")

    def __init__(self, latency: int):
        self.response = False
        self._bursts: deque[int] = deque()  # beats left
        self._beats = 0
        self._responses: deque[int] = deque()  # cycle
        self._latency = latency

    @property
    def ready(self) -> bool:
        """Whether an address is taken in this cycle."""
        return len(self._bursts) < BURSTS

    def ask(self, beats: int) -> None:
        """Take a burst's address."""
        self._bursts.append(beats)

    def put(self) -> bool:
        """Take a beat and return whether there is room for it."""
        if self._beats == WRITE_BEATS:
            return False
        self._beats += 1
        return True

    def move(self, t: int) -> bool:
        """Take a beat out of the buffer and return whether there is one whose burst is known."""
        if not self._beats or not self._bursts:
            return False
        self._beats -= 1
        self._bursts[0] -= 1
        if not self._bursts[0]:
            self._bursts.popleft()
            self._responses.append(t + self._latency)
        return True

    def respond(self, t: int) -> bool:
        """Put a response to the port for the next cycle; return whether there is one and room for it."""
        if self.response or not self._responses or self._responses[0] > t:
            return False
        self._responses.popleft()
        self.response = True
        return True

    def next_event(self) -> float:
        """Return when a response may come, should nobody else do anything."""
        return self._responses[0] if self._responses and not self.response else inf


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
        self._turns = [
            [((first + turn + 1) % 4, self._channels[(first + turn) % 4]) for turn in range(4)] for first in range(4)
        ]
        self._first = 0
        self._per_cycle, self._beat = int(memory.bytes_per_cycle * CREDIT_UNIT), beat_bytes * CREDIT_UNIT
        self._most = max(self._per_cycle, self._beat) + self._beat
        self._credit, self._at = self._most, 0

    def clock(self, t: int) -> bool:
        """End cycle t, after all handshakes in it; return whether anything moved."""
        credit = min(self._credit + (t - self._at) * self._per_cycle, self._most)
        moved = False
        for behind, channel in self._turns[self._first]:
            if credit < self._beat:
                break
            if channel.move(t):
                credit -= self._beat
                self._first, moved = behind, True
        self._credit, self._at = credit, t
        for channel in self.writes:
            if channel.respond(t):
                moved = True
        return moved

    def next_event(self, t: int) -> float:
        """Return the first cycle behind t in which something may happen on its own."""
        times = [at for at in (channel.next_event() for channel in self._channels) if at > t]
        if self._credit < self._beat:
            times.append(t - (self._credit - self._beat) // self._per_cycle)
        return min(times, default=inf)
