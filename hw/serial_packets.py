"""Packets between a host and a board on a serial line: how they are framed, numbered and checked.

    frame    0x7E, body and checksum with 0x7E and 0x7D sent as 0x7D and the byte ^ 0x20, 0x7E
    request  kind (1 byte), sequence (2), address (4), length (2), payload of a write
    reply    kind | 0x80, sequence, address and length of the request, payload of a read, status (1)
    checksum CRC-32 of the body, 4 bytes

Numbers are little endian. 0x7E is nothing but the border of a frame, so whatever noise did to one, the next is whole again.
A board answers every request that arrives undamaged, in order, and drops all else; a write with the sequence number of the
write before it is answered, not done again. The RTL is hw/board_rtl/packet_receiver.sv, packet_sender.sv, serial_bridge.sv.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

FLAG, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
DESCRIBE, READ, WRITE = 1, 2, 3
REPLY = 0x80
OKAY, REFUSED, BUS_ERROR = 0, 1, 2
LARGEST = 1024
"""Payload bytes of one packet, counted from the 4-byte word that the first lies in."""

SLOTS = 4
"""Requests that a board holds; one that arrives on top of them is dropped."""

REGISTERS = 1 << 31
"""Address of the core's first register; below it is memory."""

SIGNATURE = 0x3153_474A
"""First word of a bridge's description, the letters JGS1; memory bytes, clock in Hz and slots follow."""

DESCRIPTION_BYTES = 16
_HEADER = struct.Struct("<BHIH")
_CHECK = struct.Struct("<I")
SHORTEST = _HEADER.size + _CHECK.size


@dataclass(frozen=True)
class Request:
    """What a host asks. `payload` is as long as `length` for a write, else empty."""

    kind: int
    sequence: int
    address: int
    length: int
    payload: bytes = b""


@dataclass(frozen=True)
class Reply:
    """What a board answers; kind (without the reply bit), sequence, address and length are the request's."""

    kind: int
    sequence: int
    address: int
    length: int
    payload: bytes
    status: int

    def answers(self, request: Request) -> bool:
        """Return whether this is the answer to a request."""
        mine = (self.kind, self.sequence, self.address, self.length)
        return mine == (request.kind, request.sequence, request.address, request.length)


def framed(body: bytes) -> bytes:
    """Return a body with its checksum, as bytes on the line."""
    data = body + _CHECK.pack(zlib.crc32(body))
    data = data.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e")
    return b"\x7e" + data + b"\x7e"


def request_bytes(request: Request) -> bytes:
    """Return a request as bytes on the line."""
    header = _HEADER.pack(request.kind, request.sequence, request.address, request.length)
    return framed(header + request.payload)


def reply_bytes(reply: Reply) -> bytes:
    """Return a reply as bytes on the line."""
    header = _HEADER.pack(reply.kind | REPLY, reply.sequence, reply.address, reply.length)
    return framed(header + reply.payload + bytes([reply.status]))


def request_of(body: bytes) -> Request | None:
    """Return the request in a body, None where it is none that a board takes up."""
    if len(body) < _HEADER.size:
        return None
    kind, sequence, address, length = _HEADER.unpack_from(body)
    payload = body[_HEADER.size :]
    if len(payload) != (length if kind == WRITE else 0):
        return None
    return Request(kind, sequence, address, length, payload)


def reply_of(body: bytes) -> Reply | None:
    """Return the reply in a body, None where it is none."""
    if len(body) < _HEADER.size + 1 or not body[0] & REPLY:
        return None
    kind, sequence, address, length = _HEADER.unpack_from(body)
    payload, status = body[_HEADER.size : -1], body[-1]
    if kind & ~REPLY in (DESCRIBE, READ) and status == OKAY and len(payload) != length:
        return None
    return Reply(kind & ~REPLY, sequence, address, length, payload, status)


class Deframer:
    """Finds the bodies of frames in bytes that arrive in pieces.

    Attributes:
        damaged: frames whose checksum or length was wrong.
        received: bytes seen.
    """

    LONGEST = 2 * (LARGEST + 32)

    def __init__(self):
        self.damaged = self.received = 0
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the bodies that are whole now, without their checksums."""
        self.received += len(data)
        *frames, rest = (self._rest + data).split(b"\x7e")
        self._rest = rest if len(rest) <= self.LONGEST else rest[: self.LONGEST]
        bodies = []
        for frame in filter(None, frames):
            body = _unstuffed(frame)
            if len(body) < SHORTEST or zlib.crc32(body[:-4]) != _CHECK.unpack(body[-4:])[0]:
                self.damaged += 1
            else:
                bodies.append(body[:-4])
        return bodies


def _unstuffed(frame: bytes) -> bytes:
    first, *others = frame.split(b"\x7d")
    if any(not part for part in others):
        return b""
    return first + b"".join(bytes([part[0] ^ FLIP]) + part[1:] for part in others)
