"""Load and store engine of the cycle model behind their bursts, word by word: hw/rtl/read_port.sv, write_port.sv.

Words of both ports take turns at one word per cycle of the memories; U, V and C are the vector and the coefficient
unit's first. A step is one cycle: handshakes with the memory count at once, all else from the next cycle on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hw.cycle_memory import LOAD, PAST, PORTS, Ddr
from hw.cycle_transfers import Transfer, Transfers

OUTSTANDING = 8
"""Bursts of loads, and of stores, under way on a port."""

WORDS_AHEAD = 8
"""Words of a store that are asked for and not sent, on a port."""

SLICE = 2
"""Words, or requests, that wait in the register slice before the memories: hw/rtl/axi_register.sv."""


Taken = Callable[[int, int], bool]
"""Of a memory and a cycle: whether another unit uses it then."""


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


class _Engine:
    """What both engines are made of.

    Args:
        beat_bytes: of a port.
        ports, channels: one for the other, of the engine and of its memory.
        guarded: as of Transfers.

    Attributes:
        transfers: that start and are done.
    """

    def __init__(self, beat_bytes: int, ports: list[_ReadPort] | list[_WritePort], channels: list, guarded: bool):
        self._ports = ports
        self._pairs = list(zip(ports, channels, strict=True))
        self.transfers = Transfers(beat_bytes, ports, guarded=guarded)
        self._choice = _Choice()


class LoadEngine(_Engine):
    """The load engine, with a port to each of the memory's channels for reads."""

    def __init__(self, beat_bytes: int, ddr: Ddr):
        super().__init__(beat_bytes, [_ReadPort() for _ in range(PORTS)], ddr.reads, guarded=True)
        self._words: deque[tuple[Transfer, bool]] = deque()  # before their memory; whether the last of a burst
        self._held = False

    def step(self, t: int, fetch_asks: bool, taken: Taken) -> tuple[bool, bool]:
        """Do cycle t and return whether anything moved, and whether fetch's address, where there is one, was taken on port 0.

        Args:
            taken: whether a memory's write port is another's.
        """
        port, channel = self._pairs[0]
        fetch_first = fetch_taken = False
        if not fetch_asks and not port.asking:
            self._held = False
        else:
            fetch_first = fetch_asks and not self._held
            fetch_taken = fetch_first and channel.ready
            self._held = port.asking > 0 and not fetch_first and not channel.ready
        if not self.transfers.under_way:
            return False, fetch_taken
        moved = False
        for port, channel in self._pairs:
            if port.asking and not fetch_first and channel.ready:
                channel.ask(t, port.asking, LOAD)
                port.asking, moved = 0, True
            fetch_first = False
        moved |= self.transfers.cut(t)
        moved |= self._write_word(t, taken)
        return self._take_beats() or moved, fetch_taken

    def _write_word(self, t: int, taken: Taken) -> bool:
        """Write the first word where its memory is free, and take a port's word behind it; return whether there was one."""
        first, second = self._ports
        words, room = self._words, len(self._words) < SLICE
        moved = bool(words)
        if words and not taken(words[0][0].memory, t):
            transfer, last = words.popleft()
            transfer.bursts -= last
        if first.word is None and second.word is None:
            return moved
        port = self._ports[self._choice.choose((first.word is not None, second.word is not None))]
        self._choice.waits = not room
        if room:
            words.append((port.word, port.word_last))
            port.word, port.word_last = None, False
        return True

    def _take_beats(self) -> bool:
        """Take the beats that stand at the ports and make words of them."""
        moved = False
        for port, channel in self._pairs:
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
        ahead: words asked for and not sent.
        words: (transfer, cycle from which on it can be sent) of words that are read.
        lane: beats sent of the first word.
    """

    __slots__ = ("asking", "to_read", "unanswered", "ahead", "words", "lane")

    def __init__(self):
        self.asking = self.ahead = self.lane = 0
        self.to_read: deque[list] = deque()
        self.unanswered: deque[Transfer] = deque()
        self.words: deque[tuple[Transfer, int]] = deque()

    def put(self, transfer: Transfer, beats: int) -> bool:
        """Take a burst, or return False where there is no room in this cycle."""
        if self.asking or OUTSTANDING in (len(self.to_read), len(self.unanswered)):
            return False
        self.asking = beats
        self.to_read.append([transfer, beats // transfer.beats])
        self.unanswered.append(transfer)
        return True


class StoreEngine(_Engine):
    """The store engine, with a port to each of the memory's channels for writes."""

    def __init__(self, beat_bytes: int, ddr: Ddr):
        super().__init__(beat_bytes, [_WritePort() for _ in range(PORTS)], ddr.writes, guarded=False)
        self._requests: deque[tuple[_WritePort, Transfer]] = deque()  # before their memory

    def step(self, t: int, taken: Taken) -> bool:
        """Do cycle t and return whether anything moved.

        Args:
            taken: whether a memory's read port is another's.
        """
        if not self.transfers.under_way:
            return False
        first, second = (port.ahead < WORDS_AHEAD and len(port.to_read) > 0 for port in self._ports)
        moved = self._ask()
        moved |= self.transfers.cut(t)
        moved |= self._send_beats(t)
        moved |= self._read_word(t, (first, second), taken)
        return self._take_response() or moved

    def _ask(self) -> bool:
        """Hand addresses to the memory."""
        moved = False
        for port, channel in self._pairs:
            if port.asking and channel.ready:
                channel.ask(port.asking)
                port.asking, moved = 0, True
        return moved

    def _read_word(self, t: int, requests: tuple[bool, bool], taken: Taken) -> bool:
        """Read the first word asked for where its memory is free, and ask for a port's next one; return whether there was one."""
        asked, room = self._requests, len(self._requests) < SLICE
        moved = bool(asked)
        if asked and not taken(asked[0][1].memory, t):
            port, transfer = asked.popleft()
            port.words.append((transfer, t + 3))
        if not any(requests):
            return moved
        port = self._ports[self._choice.choose(requests)]
        self._choice.waits = not room
        if room:
            burst = port.to_read[0]
            asked.append((port, burst[0]))
            port.ahead += 1
            burst[1] -= 1
            if not burst[1]:
                port.to_read.popleft()
        return True

    def _send_beats(self, t: int) -> bool:
        """Send a beat of each port's first word."""
        moved = False
        for port, channel in self._pairs:
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
                    port.ahead -= 1
                    port.words.popleft()
        return moved

    def rebase(self, t: int) -> None:
        """Count cycles from t on."""
        self.transfers.rebase(t)
        for port in self._ports:
            port.words = deque((transfer, max(at - t, PAST)) for transfer, at in port.words)

    def _take_response(self) -> bool:
        """Take a burst's response, of port 0 first."""
        for port, channel in self._pairs:
            if channel.response:
                channel.response = False
                port.unanswered.popleft().bursts -= 1
                return True
        return False
