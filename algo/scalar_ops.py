"""The scalar operations of the coefficient unit: encoding, exact 64-bit arithmetic, and the interpreter loop.

A program is a sequence of 32-bit instructions over sixteen 64-bit registers that start at zero; it runs once
per channel. Here one numpy lane is one channel, so all channels advance together. No torch: the PyTorch
emulator, the golden model and the compiler all take the arithmetic from this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

SCALAR_OPS = (
    "ldc", "stc", "lds", "add", "sub", "min", "max", "addi", "shi", "shr", "mul", "div", "sqrt", "pack", "sat",
)
"""The opcode is the position."""

SCALAR_LAYOUT = (("op", 5), ("rd", 4), ("ra", 4), ("rb", 4), ("imm", 15))
"""Name and bits of each field, from bit 0 upwards; imm is signed."""

REGISTERS = 16
IMM_MIN, IMM_MAX = -(1 << 14), (1 << 14) - 1
SAT_MIN, SAT_MAX = 1, 62


class ScalarError(ValueError):
    """A scalar instruction is none of this set; the message says which and why."""


class ScalarMemory(Protocol):
    """What a program reads and writes: all three take an offset in words."""

    def load_channel(self, imm: int) -> np.ndarray:
        """Return the (channels,) int64 words at the channels' base + imm."""

    def store_channel(self, imm: int, value: np.ndarray) -> None:
        """Write the (channels,) int64 words at the channels' base + imm."""

    def load_scalar(self, imm: int) -> int:
        """Return the word at the scalars' base + imm."""


def encode(op: str, rd: int = 0, ra: int = 0, rb: int = 0, imm: int = 0) -> int:
    """Return the 32-bit instruction.

    Raises:
        ScalarError: unknown operation, a register outside 0 to 15, or an immediate that does not fit.
    """
    if op not in SCALAR_OPS:
        raise ScalarError(f"scalar operation {op!r} is none of {', '.join(SCALAR_OPS)}")
    for name, register in (("rd", rd), ("ra", ra), ("rb", rb)):
        if not 0 <= register < REGISTERS:
            raise ScalarError(f"{op} has {name} = {register}, but registers are 0 to {REGISTERS - 1}")
    low, high = (SAT_MIN, SAT_MAX) if op == "sat" else (IMM_MIN, IMM_MAX)
    if not low <= imm <= high:
        raise ScalarError(f"{op} has imm = {imm}, but it must be {low} to {high}")
    return SCALAR_OPS.index(op) | rd << 5 | ra << 9 | rb << 13 | (imm & 0x7FFF) << 17


def decode(word: int) -> tuple[str, int, int, int, int]:
    """Return (op, rd, ra, rb, imm); the inverse of `encode`.

    Raises:
        ScalarError: an unknown opcode, or `sat` with an immediate outside 1 to 62.
    """
    number, imm = word & 0x1F, word >> 17 & 0x7FFF
    if number >= len(SCALAR_OPS):
        raise ScalarError(f"scalar opcode {number} is none of 0 to {len(SCALAR_OPS) - 1}")
    op, imm = SCALAR_OPS[number], imm - (1 << 15) if imm >> 14 else imm
    if op == "sat" and not SAT_MIN <= imm <= SAT_MAX:
        raise ScalarError(f"sat has imm = {imm}, but it must be {SAT_MIN} to {SAT_MAX}")
    return op, word >> 5 & 0xF, word >> 9 & 0xF, word >> 13 & 0xF, imm


def shift_left(a: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Return a << amount, wrapped to 64 bits; 0 from 64 places on. amount is not negative."""
    return np.where(amount > 63, 0, a << np.minimum(amount, 63))


def shift_right(a: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Return (a + 2^(amount - 1)) >> amount with a sum that never wraps: nearest, ties up. amount is positive.

    The half carries exactly where the last bit shifted out is set.
    """
    return (a >> np.minimum(amount, 63)) + ((a >> np.minimum(amount - 1, 63)) & 1)


def shift(a: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Return a shifted left by amount, or right with rounding where amount is negative."""
    return np.where(amount >= 0, shift_left(a, np.maximum(amount, 0)), shift_right(a, np.maximum(-amount, 1)))


def low32(a: np.ndarray) -> np.ndarray:
    """Return the low 32 bits of a as a signed number."""
    return (a << 32) >> 32


def divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a / b truncated towards zero, 0 where b is 0; -2^63 / -1 wraps to -2^63."""
    magnitude_a, magnitude_b = np.abs(a).view(np.uint64), np.abs(b).view(np.uint64)
    quotient = (magnitude_a // np.maximum(magnitude_b, np.uint64(1))).view(np.int64)
    return np.where(b == 0, 0, np.where((a < 0) != (b < 0), -quotient, quotient))


def square_root(a: np.ndarray) -> np.ndarray:
    """Return floor(sqrt(a)), 0 where a is negative."""
    return np.array([math.isqrt(max(x, 0)) for x in a.tolist()], np.int64)


def pack(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return an AB word: low 18 bits of a at 17:0, of b at 49:32."""
    return (a & 0x3FFFF) | (b & 0x3FFFF) << 32


def saturate(a: np.ndarray, bits: int) -> np.ndarray:
    """Return a clamped to +-(2^bits - 1)."""
    limit = (1 << bits) - 1
    return a.clip(-limit, limit)


ARITHMETIC: dict[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
    "add": lambda a, b, imm: a + b,
    "sub": lambda a, b, imm: a - b,
    "min": lambda a, b, imm: np.minimum(a, b),
    "max": lambda a, b, imm: np.maximum(a, b),
    "addi": lambda a, b, imm: a + np.int64(imm),
    "shi": lambda a, b, imm: shift_left(a, np.int64(imm)) if imm >= 0 else shift_right(a, np.int64(-imm)),
    "shr": lambda a, b, imm: shift(a, (b << 57) >> 57),
    "mul": lambda a, b, imm: low32(a) * low32(b),
    "div": lambda a, b, imm: divide(a, b),
    "sqrt": lambda a, b, imm: square_root(a),
    "pack": lambda a, b, imm: pack(a, b),
    "sat": lambda a, b, imm: saturate(a, imm),
}
"""rd as a function of ra, rb (int64 arrays of one shape) and imm, for the operations that touch no memory."""


def run(program: Sequence[int], channels: int, memory: ScalarMemory) -> None:
    """Run a program for all channels at once.

    Equal to running it channel by channel as long as no channel stores a word that another one accesses.

    Args:
        program: 32-bit instructions.
        channels: lanes.
        memory: where ldc, stc and lds go.

    Raises:
        ScalarError: as `decode`.
    """
    registers = np.zeros((REGISTERS, channels), np.int64)
    for word in program:
        op, rd, ra, rb, imm = decode(word)
        if op == "ldc":
            registers[rd] = memory.load_channel(imm)
        elif op == "stc":
            memory.store_channel(imm, registers[ra])
        elif op == "lds":
            registers[rd] = memory.load_scalar(imm)
        else:
            registers[rd] = ARITHMETIC[op](registers[ra], registers[rb], imm)
