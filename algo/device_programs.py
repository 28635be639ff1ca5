"""The scalar programs of batch norm and biases on torch tensors, on any device: algo.scalar_ops for tables that stay there.

A column that a program stores takes effect at its end; until then its own loads see it. Nothing comes to the host.
"""

from __future__ import annotations

import torch

from algo.scalar_ops import decode
from algo.step import Step

_ROOT_MAX = 3037000499
"""floor(sqrt(2^63 - 1))."""


class Scalars:
    """Every scalar block of a step as one tensor; `take` brings an iteration's words there."""

    def __init__(self, step: Step, device: torch.device):
        self._first, count = {}, 0
        for block, words in step.scalars.items():
            self._first[block], count = count, count + len(words)
        self._words = torch.zeros(count, dtype=torch.int64, device=device)
        self._blocks = {block: self._words[first : first + len(step.scalars[block])] for block, first in self._first.items()}

    def __getitem__(self, block: str) -> torch.Tensor:
        """Return a block's words, int64 (words,): a view of what `take` has written and will write."""
        return self._blocks[block]

    def take(self, blocks: dict[str, tuple[int, ...]]) -> None:
        """Take the words of blocks, as algo.scaling.scalars returns them: one copy where they are all there, in order."""
        if list(blocks) == list(self._first):
            blocks = {next(iter(blocks), ""): [word for words in blocks.values() for word in words]} if blocks else {}
        for block, words in blocks.items():
            first = self._first[block]
            self._words[first : first + len(words)].copy_(torch.tensor(words, dtype=torch.int64))


def run_program(program: tuple[int, ...], table: torch.Tensor, scalars: torch.Tensor) -> None:
    """Run a scalar program for every channel, in place.

    Args:
        program: 32-bit instructions.
        table: int64 (channels, entries).
        scalars: the block's words, int64 (words,).
    """
    registers: dict[int, torch.Tensor] = {}
    before, zero = table.clone(), torch.zeros((), dtype=torch.int64, device=table.device)
    stored: dict[int, torch.Tensor] = {}
    for op, rd, ra, rb, imm in map(decode, program):
        if op == "ldc":
            registers[rd] = stored.get(imm, before[:, imm])
        elif op == "lds":
            registers[rd] = scalars[imm]
        elif op == "stc":
            stored[imm] = registers.get(ra, zero)
        else:
            registers[rd] = _ARITHMETIC[op](registers.get(ra, zero), registers.get(rb, zero), imm)
    for imm, value in stored.items():
        table[:, imm] = value


def _shift_left(a: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
    return torch.where(amount > 63, 0, a << amount.clamp(0, 63))


def _shift_right(a: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
    return (a >> amount.clamp(1, 63)) + ((a >> (amount - 1).clamp(0, 63)) & 1)


def _shift_by(a: torch.Tensor, amount: int) -> torch.Tensor:
    if amount >= 0:
        return a << amount if amount < 64 else torch.zeros_like(a)
    return (a >> min(-amount, 63)) + ((a >> min(-amount - 1, 63)) & 1)


def _shift(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    amount = (b << 57) >> 57
    return torch.where(amount >= 0, _shift_left(a, amount), _shift_right(a, -amount))


def _low32(a: torch.Tensor) -> torch.Tensor:
    return (a << 32) >> 32


def _divide(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Truncated; 0 where b is 0; -2^63 / -1, at which processors trap, wraps."""
    special = (b == 0) | (b == -1)
    quotient = torch.div(a, torch.where(special, 1, b), rounding_mode="trunc")
    return torch.where(special, -a * (b == -1), quotient)


def _square_root(a: torch.Tensor) -> torch.Tensor:
    """float64's root is off by one at most."""
    a = a.clamp(min=0)
    root = a.double().sqrt().long().clamp(max=_ROOT_MAX)
    root = root - (root * root > a).long()
    return root + ((root < _ROOT_MAX) & ((root + 1) * (root + 1) <= a)).long()


_ARITHMETIC = {
    "add": lambda a, b, imm: a + b,
    "sub": lambda a, b, imm: a - b,
    "min": lambda a, b, imm: torch.minimum(a, b),
    "max": lambda a, b, imm: torch.maximum(a, b),
    "addi": lambda a, b, imm: a + imm,
    "shi": lambda a, b, imm: _shift_by(a, imm),
    "shr": lambda a, b, imm: _shift(a, b),
    "mul": lambda a, b, imm: _low32(a) * _low32(b),
    "div": lambda a, b, imm: _divide(a, b),
    "sqrt": lambda a, b, imm: _square_root(a),
    "pack": lambda a, b, imm: (a & 0x3FFFF) | (b & 0x3FFFF) << 32,
    "sat": lambda a, b, imm: a.clamp(-((1 << imm) - 1), (1 << imm) - 1),
}
"""As algo.scalar_ops.ARITHMETIC."""
