"""Messages between the working process and the sampler: JSON objects, each behind its length in four bytes."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator

LENGTH = struct.Struct("<I")
LARGEST = 64 << 20
"""Bytes of a message; a longer one is no message of ours."""


class FrameError(ValueError):
    """What came through the pipe is no message."""


def frame(message: dict) -> bytes:
    """Return a message as bytes. Raises TypeError or ValueError where it is not JSON data, or too long."""
    body = json.dumps(message).encode()
    if len(body) > LARGEST:
        raise ValueError(f"a message of {len(body)} bytes: at most {LARGEST} go through")
    return LENGTH.pack(len(body)) + body


def frames(handle: int) -> Iterator[dict]:
    """Yield the messages that arrive at a pipe, until it is closed. Raises FrameError."""
    data = bytearray()
    while True:
        try:
            piece = os.read(handle, 1 << 16)
        except OSError:
            piece = b""
        if not piece:
            return
        data += piece
        while len(data) >= LENGTH.size:
            length = LENGTH.unpack_from(data)[0]
            if length > LARGEST:
                raise FrameError(f"a message of {length} bytes")
            if len(data) < LENGTH.size + length:
                break
            try:
                message = json.loads(data[LENGTH.size:LENGTH.size + length])
            except ValueError as error:
                raise FrameError(f"a message that is not JSON: {error}") from None
            del data[:LENGTH.size + length]
            yield message
