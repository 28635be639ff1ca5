"""Load and store engine of the cycle model behind their bursts, word by word: hw/rtl/read_port.sv, write_port.sv.

Words of both ports take turns at one word per cycle of the memories; U, V and C are the vector and the coefficient
unit's first. A step is one cycle: handshakes with the memory count at once, all else from the next cycle on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hw.config import Config
from hw.cycle_memory import LOAD, PORTS, Ddr
from hw.cycle_transfers import Transfer, Transfers

OUTSTANDING = 8
"""Bursts of loads, and of stores, under way on a port."""

WORDS_AHEAD = 4
"""Words of a store between its memory and a port's data channel."""


class _Choice:
    """Two requesters in turn, each kept until its grant: hw/rtl/two_way_choice.sv."""

    __slots__ = ("last", "waits")

    def __init__(self):
        self.last, self.waits = 1, False

    def choose(self, requests: tuple[bool, bool]) -> int:
        """Return the one chosen, of which one requests at least."""
        if not self.waits and requests[1 - self.last]:
            self.last = 1 - self.last
        return self.last


class _ReadPort:
    """A port's bursts, beats and word of loads; `asking` is the burst whose address stands at the memory."""

    __slots__ = ("asking", "bursts", "lane", "word", "word_last")

    def __init__(self):
        self.asking = self.lane = 0
        self.bursts: deque[Transfer] = deque()
        self.word: Transfer | None = None
        self.word_last = False

    def put(self, transfer: Transfer, beats: int) -> bool:
        """Take a burst, or return False where there is no room in this cycle."""
        if self.asking or len(self.bursts) == OUTSTANDING:
            return False
        self.asking = beats
        self.bursts.append(transfer)
        return True


class LoadEngine:
    """The load engine.

    Args:
        config: of the core.
        ddr: its memory.
        first_image: in the image list.
        taken: (memory, cycle) to whether a memory's write port is another's in that cycle.

    Attributes:
        transfers: that start and are done.
    """

    def __init__(self, config: Config, ddr: Ddr, first_image: int, taken: Callable[[int, int], bool]):
        self._ports = [_ReadPort() for _ in range(PORTS)]
        self.transfers = Transfers(config, self._ports, first_image, guarded=True)
        self._ddr, self._taken, self._choice = ddr, taken, _Choice()
        self._held = False

    def step(self, t: int, fetch_asks: bool) -> tuple[bool, bool]:
        """Do cycle t and return whether anything moved, and whether fetch's address, where there is one, was taken on port 0."""
        ready = self._ddr.reads[0].ready
        fetch_first = fetch_asks and not self._held
        self._held = bool(self._ports[0].asking) and not fetch_first and not ready
        fetch_taken = fetch_first and ready
        if self.transfers.idle:
            return False, fetch_taken
        moved = self._ask(t, fetch_first)
        moved |= self.transfers.cut(t)
        moved |= self._write_word(t)
        return self._take_beats() or moved, fetch_taken

    def _ask(self, t: int, fetch_first: bool) -> bool:
        """Hand addresses to the memory."""
        moved = False
        for port, channel in zip(self._ports, self._ddr.reads, strict=True):
            if port.asking and channel.ready and not fetch_first:
                channel.ask(t, port.asking, LOAD)
                port.asking, moved = 0, True
            fetch_first = False
        return moved

    def _write_word(self, t: int) -> bool:
        """Write a port's word where the memory is free; return whether there was one."""
        first, second = self._ports
        if first.word is None and second.word is None:
            return False
        port = self._ports[self._choice.choose((first.word is not None, second.word is not None))]
        self._choice.waits = self._taken(port.word.memory, t)
        if not self._choice.waits:
            port.word.bursts -= port.word_last
            port.word = None
        return True

    def _take_beats(self) -> bool:
        """Take the beats that stand at the ports and make words of them."""
        moved = False
        for port, channel in zip(self._ports, self._ddr.reads, strict=True):
            if channel.beat != LOAD:
                continue
            transfer = port.bursts[0]
            if port.lane + 1 < transfer.beats:
                port.lane += 1
            elif port.word is None:
                port.lane, port.word, port.word_last = 0, transfer, channel.last
                if channel.last:
                    port.bursts.popleft()
            else:
                continue
            channel.beat, moved = 0, True
        return moved


class _WritePort:
    """A port's bursts and words of stores.

    Attributes:
        asking: the burst whose address stands at the memory.
        to_read: (transfer, words left) of bursts whose words are not all read.
        unanswered: bursts without a response.
        words: (transfer, cycle from which on it can be sent) of words that are read.
        lane: beats sent of the first word.
    """

    __slots__ = ("asking", "to_read", "unanswered", "words", "lane")

    def __init__(self):
        self.asking = self.lane = 0
        self.to_read: deque[list] = deque()
        self.unanswered: deque[Transfer] = deque()
        self.words: deque[tuple[Transfer, int]] = deque()

    @property
    def reads(self) -> bool:
        """Whether it asks for a word."""
        return bool(self.to_read) and len(self.words) < WORDS_AHEAD

    def put(self, transfer: Transfer, beats: int) -> bool:
        """Take a burst, or return False where there is no room in this cycle."""
        if self.asking or OUTSTANDING in (len(self.to_read), len(self.unanswered)):
            return False
        self.asking = beats
        self.to_read.append([transfer, beats // transfer.beats])
        self.unanswered.append(transfer)
        return True


class StoreEngine:
    """The store engine.

    Args:
        config: of the core.
        ddr: its memory.
        first_image: in the image list.
        taken: (memory, cycle) to whether a memory's read port is another's in that cycle.

    Attributes:
        transfers: that start and are done.
    """

    def __init__(self, config: Config, ddr: Ddr, first_image: int, taken: Callable[[int, int], bool]):
        self._ports = [_WritePort() for _ in range(PORTS)]
        self.transfers = Transfers(config, self._ports, first_image, guarded=False)
        self._ddr, self._taken, self._choice = ddr, taken, _Choice()

    def step(self, t: int) -> bool:
        """Do cycle t and return whether anything moved."""
        if self.transfers.idle:
            return False
        requests = self._ports[0].reads, self._ports[1].reads
        moved = self._ask()
        moved |= self.transfers.cut(t)
        moved |= self._send_beats(t)
        if requests[0] or requests[1]:
            self._read_word(t, requests)
            moved = True
        return self._take_response() or moved

    def _ask(self) -> bool:
        """Hand addresses to the memory."""
        moved = False
        for port, channel in zip(self._ports, self._ddr.writes, strict=True):
            if port.asking and channel.ready:
                channel.ask(port.asking)
                port.asking, moved = 0, True
        return moved

    def _read_word(self, t: int, requests: tuple[bool, bool]) -> None:
        """Read a port's next word where the memory is free."""
        port = self._ports[self._choice.choose(requests)]
        burst = port.to_read[0]
        self._choice.waits = self._taken(burst[0].memory, t)
        if not self._choice.waits:
            port.words.append((burst[0], t + 2))
            burst[1] -= 1
            if not burst[1]:
                port.to_read.popleft()

    def _send_beats(self, t: int) -> bool:
        """Send a beat of each port's first word."""
        moved = False
        for port, channel in zip(self._ports, self._ddr.writes, strict=True):
            if not port.words:
                continue
            transfer, at = port.words[0]
            if at > t:
                moved = True
            elif channel.put():
                moved = True
                port.lane += 1
                if port.lane == transfer.beats:
                    port.lane = 0
                    port.words.popleft()
        return moved

    def _take_response(self) -> bool:
        """Take a burst's response, of port 0 first."""
        for port, channel in zip(self._ports, self._ddr.writes, strict=True):
            if channel.response:
                channel.response = False
                port.unanswered.popleft().bursts -= 1
                return True
        return False
