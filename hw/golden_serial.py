"""What the serial bridge answers, in Python: golden function of hw/board_rtl/serial_bridge.sv."""

from __future__ import annotations

from collections.abc import Callable

from hw import serial_packets as packets
from hw.serial_packets import Reply, Request


class SerialBridge:
    """A bridge with a memory and registers behind it.

    Args:
        memory: bytes from address 0.
        read_register: (byte address from the first register) -> 32-bit value.
        write_register: (byte address, 32-bit value).
        clk_hz: clock that it reports.
    """

    def __init__(
        self,
        memory: bytearray,
        read_register: Callable[[int], int] = lambda address: 0,
        write_register: Callable[[int, int], None] = lambda address, value: None,
        clk_hz: int = 50_000_000,
    ):
        self.memory = memory
        self._read_register, self._write_register = read_register, write_register
        self.clk_hz = clk_hz
        self._last_write: int | None = None
        self._deframer = packets.Deframer()

    def answer(self, data: bytes) -> bytes:
        """Return what it sends after bytes have arrived."""
        requests = map(packets.request_of, self._deframer.feed(data))
        return b"".join(packets.reply_bytes(self.reply(request)) for request in requests if request)

    def reply(self, request: Request) -> Reply:
        """Do what a request asks and return the answer."""
        payload, status = b"", packets.OKAY
        first, length = request.address % 4, request.length
        if request.kind not in (packets.DESCRIBE, packets.READ, packets.WRITE) or not 0 < length <= packets.LARGEST - first:
            status = packets.REFUSED
        elif request.kind == packets.DESCRIBE:
            self._last_write = None
            words = (packets.SIGNATURE, len(self.memory), self.clk_hz, packets.SLOTS)
            description = b"".join(word.to_bytes(4, "little") for word in words)
            payload = (description * (packets.LARGEST // len(description)))[first : first + length]
        elif request.kind == packets.READ:
            words = [self._word(request.address - first + 4 * i) for i in range((first + length + 3) // 4)]
            status = packets.BUS_ERROR if None in words else packets.OKAY
            payload = b"".join((word or 0).to_bytes(4, "little") for word in words)[first : first + length]
        elif request.sequence != self._last_write:
            self._last_write = request.sequence
            status = self._write(request)
        return Reply(request.kind, request.sequence, request.address, length, payload, status)

    def _word(self, address: int) -> int | None:
        if address >= packets.REGISTERS:
            return self._read_register(address - packets.REGISTERS)
        return int.from_bytes(self.memory[address : address + 4], "little") if address < len(self.memory) else None

    def _write(self, request: Request) -> int:
        if request.address >= packets.REGISTERS:
            self._write_register(request.address - packets.REGISTERS, int.from_bytes(request.payload[:4], "little"))
            return packets.OKAY
        fits = min(request.length, max(len(self.memory) - request.address, 0))
        self.memory[request.address : request.address + fits] = request.payload[:fits]
        return packets.OKAY if fits == request.length else packets.BUS_ERROR
