"""Reads and writes over a serial line with packets: windowed, numbered, checked, sent again where noise ate them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from host.board import BoardError, BoardTimeout
from host.port import Port
from host.sensor import SensorError
from hw import serial_packets as packets
from hw.serial_packets import Reply, Request

SILENT, FIRST_SILENT = 10, 4
"""So many time-outs one behind the other without any answer: the board is given up, a strange one sooner."""

LONGEST_PAUSE_S = 1.0
BITS_PER_BYTE = 10
OVERHEAD_BYTES = 20
"""Of a packet besides its payload, roughly."""

_WORDS = {packets.REFUSED: "refuses it: its bridge is of another version", packets.BUS_ERROR: "has no memory there"}


@dataclass
class Sent:
    """A request on its way, and when it counts as lost."""

    request: Request
    lost_s: float


@dataclass(frozen=True)
class Description:
    """What a bridge says of itself: bytes of memory, clock of the core, requests that it holds at a time."""

    memory_bytes: int
    clk_hz: int
    slots: int


class Link:
    """One end of a line to a board; threads may share it.

    Args:
        port: open.
        baud: its speed, from which follows how long an answer may take.
        answer_s: what an answer may take besides, for USB and the operating system.

    Attributes:
        repeated: requests sent again so far.
        damaged: answers that arrived damaged so far.
        alive: whether the board has not been given up.
    """

    def __init__(self, port: Port, baud: int, answer_s: float):
        self._port, self._baud, self._answer_s = port, baud, answer_s
        self._lock = threading.RLock()
        self._deframer = packets.Deframer()
        self._sequence = time.monotonic_ns() >> 10 & 0xFFFF  # answers to someone before us are not taken for ours
        self._slots = 1
        self.repeated, self.alive = 0, True

    @property
    def damaged(self) -> int:
        """Answers that arrived damaged so far."""
        return self._deframer.damaged

    def describe(self) -> Description:
        """Ask the board what it is; from then on as many requests are on their way as it holds.

        Raises:
            BoardError: it does not answer, or is something else.
        """
        try:
            request = self._request(packets.DESCRIBE, 0, packets.DESCRIPTION_BYTES)
            payload = self._exchange([request], FIRST_SILENT)[0].payload
        except BoardTimeout:
            raise BoardError(self._why_silent()) from None
        signature, memory_bytes, clk_hz, slots = (int.from_bytes(payload[i : i + 4], "little") for i in range(0, 16, 4))
        if signature != packets.SIGNATURE:
            raise BoardError(f"what is at {self._port.path} answers with {signature:#010x}: this is no joulegrad board")
        self._slots = slots
        return Description(memory_bytes, clk_hz, slots)

    def read(self, address: int, nbytes: int) -> bytes:
        """Return bytes from an address on. Raises BoardError."""
        requests = [self._request(packets.READ, at, size) for at, size in _pieces(address, nbytes)]
        return b"".join(reply.payload for reply in self._exchange(requests))

    def write(self, address: int, data: bytes) -> None:
        """Write bytes to an address. Raises BoardError."""
        self._exchange(
            [
                self._request(packets.WRITE, at, size, data[at - address : at - address + size])
                for at, size in _pieces(address, len(data))
            ]
        )

    def _request(self, kind: int, address: int, length: int, payload: bytes = b"") -> Request:
        with self._lock:
            self._sequence = (self._sequence + 1) & 0xFFFF
            return Request(kind, self._sequence, address, length, payload)

    def _why_silent(self) -> str:
        where = f"the board at {self._port.path} does not answer at {self._baud} baud"
        if self._deframer.received:
            what = f"{self._deframer.received} bytes came, but no packet"
            return f"{where}: {what}; is it another line speed (baud=) or another device?"
        return f"{where}: is it powered, its bitstream loaded, and the line speed right (baud=)?"

    def _exchange(self, requests: list[Request], patience: int = SILENT) -> list[Reply]:
        """Return the answers to requests, in their order. Raises BoardTimeout where the board falls silent, else BoardError."""
        with self._lock:
            try:
                replies = self._windowed(requests, patience)
            except SensorError as error:  # of the port
                self.alive = False
                raise BoardError(str(error)) from None
        for reply in replies:
            if reply.status != packets.OKAY:
                what = f"{reply.length} bytes at {reply.address:#x}"
                raise BoardError(f"the board at {self._port.path}, asked for {what}, {_WORDS.get(reply.status, reply.status)}")
        return replies

    def _windowed(self, requests: list[Request], patience: int) -> list[Reply]:
        waiting, flying, replies, silent = deque(requests), {}, {}, 0
        while waiting or flying:
            while waiting and len(flying) < self._slots:
                self._send([waiting.popleft()], flying, silent)
            first_s = min(sent.lost_s for sent in flying.values())
            answers = self._answers(first_s)
            for reply in answers:
                sent = flying.get(reply.sequence)
                if sent is None or not reply.answers(sent.request):
                    continue  # to a request that was answered already, or to someone before us
                replies[reply.sequence], silent = reply, 0
                # The line keeps the order, and so does the board: what was sent before has got lost.
                overtaken = [flying.pop(number) for number in _up_to(flying, reply.sequence)][:-1]
                self._repeat([one.request for one in overtaken], flying, silent)
            now_s = time.monotonic()
            overdue = [sent.request for sent in flying.values() if sent.lost_s <= now_s]
            if overdue and not answers:
                silent += 1
                if silent >= patience:
                    self.alive = False
                    raise BoardTimeout(f"the board at {self._port.path} does not answer any more: is it still powered?")
                for request in overdue:
                    del flying[request.sequence]
                self._repeat(overdue, flying, silent)
        return [replies[request.sequence] for request in requests]

    def _repeat(self, requests: list[Request], flying: dict[int, Sent], silent: int) -> None:
        self.repeated += len(requests)
        self._send(requests, flying, silent)

    def _send(self, requests: Iterable[Request], flying: dict[int, Sent], silent: int) -> None:
        for request in requests:
            self._port.write(packets.request_bytes(request))
            line_bytes = sum(sent.request.length + OVERHEAD_BYTES for sent in flying.values()) + request.length + OVERHEAD_BYTES
            pause_s = min(self._answer_s * 2**silent, max(LONGEST_PAUSE_S, self._answer_s))
            flying[request.sequence] = Sent(request, time.monotonic() + pause_s + 1.5 * line_bytes * BITS_PER_BYTE / self._baud)

    def _answers(self, until_s: float) -> list[Reply]:
        """Return the answers in what arrives first, none after a time."""
        while True:
            data = self._port.receive(max(0.0, until_s - time.monotonic()))
            bodies = self._deframer.feed(data)
            found = [reply for reply in map(packets.reply_of, bodies) if reply]
            if found or not data and time.monotonic() >= until_s:
                return found


def _pieces(address: int, nbytes: int) -> list[tuple[int, int]]:
    """Return (address, bytes) of packets that cover a range; each fits the board's words."""
    pieces = []
    while nbytes:
        size = min(nbytes, packets.LARGEST - address % 4)
        pieces.append((address, size))
        address, nbytes = address + size, nbytes - size
    return pieces


def _up_to(flying: dict[int, Sent], last: int) -> list[int]:
    """Return the sequence numbers in the order in which they were sent, up to and with one."""
    numbers = list(flying)
    return numbers[: numbers.index(last) + 1]
