"""Segments for boards of every kind: copies through a memory, and those that fail, hang or are late."""

from __future__ import annotations

import pytest

from host.board import Board, BoardError, BoardTimeout, SegmentError
from hw import isa

WORDS, RESULT = 64, 0x4000
"""A copy is of so many words, from the start of memory to this address."""

LOAD, STORE = (isa.ENGINES.index(name) for name in ("load", "store"))


def copies(count: int, wait: int = 0) -> bytes:
    """Return code that copies `count` times, one after the other; the first load waits for the tokens of the mask `wait`."""
    fields = {"mem": isa.MEMORY_NUMBER["U"], "n_img": 1, "n_grp": 1, "run": WORDS}
    code = b""
    for i in range(count):
        load = {**fields, "addr": 0, "signal": 1 << STORE, "wait": 1 << STORE if i else wait}
        store = {**fields, "addr": RESULT, "wait": 1 << LOAD, "signal": 1 << LOAD}
        code += isa.encode(isa.Instruction("load", load)) + isa.encode(isa.Instruction("store", store))
    return code


def hanging() -> bytes:
    """Return code of two instructions that waits for a token that nobody sends."""
    return copies(1, wait=1 << STORE)


def start(board: Board, address: int, code: bytes) -> None:
    """Write code and start it."""
    board.write(address, code)
    board.start(address, len(code) // isa.INSTRUCTION_BYTES)


def fail_in_every_way(board: Board, address: int) -> None:
    """Run what hangs, what is malformed and what is late, each to end in one sentence, and leave one behind that hangs.

    Args:
        board: takes a segment for hanging after a fraction of a second; later ones after a minute.
        address: of the code.
    """
    start(board, address, hanging())
    with pytest.raises(BoardError, match="under way already"):
        board.start(address, 2)
    with pytest.raises(BoardTimeout, match="completed 0 of 2 instructions .* it hangs"):
        board.wait()
    with pytest.raises(BoardError, match="start one first"):
        board.wait()
    board._hang_s = 60.0  # what ends may take its time from here on
    start(board, address, bytes([0xFF]) * isa.INSTRUCTION_BYTES)
    with pytest.raises(SegmentError, match="malformed"):
        board.wait(60)
    start(board, address, hanging())
    with pytest.raises(BoardTimeout, match="not done after 0.05 s"):
        board.wait(0.05)
    board.start(address, 2)
