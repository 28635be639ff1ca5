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

PAST = -1
"""Any cycle before the one from which on cycles are counted."""

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
        bursts: that are under way.
    """

    __slots__ = ("beat", "last", "bursts", "_latency")

    def __init__(self, latency: int):
        self.beat, self.last = 0, False
        self.bursts: deque[list[int]] = deque()  # [first cycle, beats left, owner]
        self._latency = latency

    @property
    def ready(self) -> bool:
        """Whether an address is taken in this cycle."""
        return len(self.bursts) < BURSTS

    def ask(self, t: int, beats: int, owner: int) -> None:
        """Take a burst's address in cycle t."""
        self.bursts.append([t + self._latency, beats, owner])

    def move(self, t: int) -> bool:
        """Put the next beat of its bursts to the port and return whether there is time and room for it."""
        if self.beat:
            return False
        burst = self.bursts[0]
        if burst[0] > t:
            return False
        burst[1] -= 1
        self.beat, self.last = burst[2], not burst[1]
        if self.last:
            self.bursts.popleft()
        return True

    def rebase(self, t: int) -> None:
        """Count cycles from t on."""
        for burst in self.bursts:
            burst[0] = max(burst[0] - t, PAST)

    def next_event(self) -> float:
        """Return when a beat may come, should nobody else do anything."""
        return inf if self.beat or not self.bursts else self.bursts[0][0]


class _WriteChannel:
    """Write bursts of a port.

    Attributes:
        bursts: that are under way.
        response: whether one stands at the port, until its reader clears it.
        responses: cycles from which on others can.
    """

    __slots__ = ("response", "bursts", "_beats", "responses", "_latency")

    def __init__(self, latency: int):
        self.response = False
        self.bursts: deque[int] = deque()  # beats left
        self._beats = 0
        self.responses: deque[int] = deque()  # cycle
        self._latency = latency

    @property
    def ready(self) -> bool:
        """Whether an address is taken in this cycle."""
        return len(self.bursts) < BURSTS

    def ask(self, beats: int) -> None:
        """Take a burst's address."""
        self.bursts.append(beats)

    def put(self) -> bool:
        """Take a beat and return whether there is room for it."""
        if self._beats == WRITE_BEATS:
            return False
        self._beats += 1
        return True

    def move(self, t: int) -> bool:
        """Take a beat of its bursts out of the buffer and return whether there is one."""
        if not self._beats:
            return False
        self._beats -= 1
        self.bursts[0] -= 1
        if not self.bursts[0]:
            self.bursts.popleft()
            self.responses.append(t + self._latency)
        return True

    def respond(self, t: int) -> bool:
        """Put the next response to the port for the next cycle, and return whether there is room and time for it."""
        if self.response or self.responses[0] > t:
            return False
        self.responses.popleft()
        self.response = True
        return True

    def rebase(self, t: int) -> None:
        """Count cycles from t on."""
        self.responses = deque(max(at - t, PAST) for at in self.responses)

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
            if channel.bursts and channel.move(t):
                credit -= self._beat
                self._first, moved = behind, True
        self._credit, self._at = credit, t
        for channel in self.writes:
            if channel.responses and channel.respond(t):
                moved = True
        return moved

    def rebase(self, t: int) -> None:
        """Count cycles from t on."""
        self._credit, self._at = min(self._credit + (t + PAST - self._at) * self._per_cycle, self._most), PAST
        for channel in self._channels:
            channel.rebase(t)

    def next_event(self, t: int) -> float:
        """Return the first cycle behind t in which something may happen on its own."""
        times = [at for at in (channel.next_event() for channel in self._channels) if at > t]
        if self._credit < self._beat:
            times.append(t - (self._credit - self._beat) // self._per_cycle)
        return min(times, default=inf)
