"""The scalar programs that the core runs per channel: batch norm and biases. No torch.

Numbers of a batch-norm channel, q being the integer of the int8 input x = q * 2^e:

    MEAN   mean of q, 15 fraction bits            VAR   biased variance of q, 30 fraction bits
    INV    2^30 / sqrt(var + eps), 31 bits        DG    sum of g * xhat, 6 fraction bits, in units of g
    GAMMA, BETA 20 fraction bits                  M_GAMMA, M_BETA (SGD momentum) 24 fraction bits
    RMEAN  running mean, unit of MEAN             RVAR  running variance, 16 fraction bits, both at the exponent that
                                                        x had in the iteration that updated them last
AB and D carry `BN_SHIFT` fraction bits. A saturates at 17 bits, a gain of 32; D is made from the saturated A, so the
mean is removed whatever A is. INV saturates where the standard deviation is below half a step of x.

Gradients of 16 bits come in two bytes, g in the unit of the high ones as above. The sums of the low ones are LS1 and LS2; what
both make together is in the unit of the low ones. LAB and LD are what the pass over low bytes takes: A, and for B what the
pass over the high ones made of them, B and D, in 2^-12 of the result's unit.

What depends on exponents, image count and hyper-parameters comes in as scalars; `algo.scaling` computes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from algo import scalar_ops
from algo.arithmetic import BN_SHIFT, GUARD_BITS

BN_ENTRIES = ("S1", "S2", "AB", "D", "MEAN", "VAR", "INV", "DG", "GAMMA", "BETA", "M_GAMMA", "M_BETA", "RMEAN", "RVAR")
BN_PERSISTENT = BN_ENTRIES[4:]
BN_LOW_ENTRIES = ("LS1", "LS2", "LAB", "LD")
"""Of a batch norm, behind the others, where gradients have 16 bits."""
BIAS_ENTRIES = ("S1", "S2", "AB", "D", "BIAS", "M_BIAS")
BIAS_PERSISTENT = BIAS_ENTRIES[4:]
BIAS_LOW_ENTRIES = ("LS1", "LS2")
PARAMETER_FRACTION = 20
LOWEST_NORMALISED = BN_SHIFT + 15 - PARAMETER_FRACTION - 31
"""Smallest exponent of what a batch norm makes: with a smaller one, the largest BETA, of 30 bits, would pass 64 bits on its way
to D, and D the 48 bits that a pass takes."""
RUNNING_MEAN_FRACTION = 15
RUNNING_VARIANCE_FRACTION = 16

_NORMALISE = """
    lds k epsilon
    add v v k
    sqrt v v
    lds k one
    div i k v
    sat i i 31
    {keep_inverse}
    ldc g GAMMA
    mul a g i
    lds k a_shift
    shr a a k
    sat a a 17
    lds k addend
    pack t a k
    stc t AB
    mul t a m
    ldc b BETA
    lds k beta_shift
    shr b b k
    sub b b t
    shi b b -15
    stc b D
"""

_BN_FORWARD = """
    ldc s S1
    lds r reciprocal
    mul m s r
    lds k mean_shift
    shr m m k
    stc m MEAN
    ldc s S2
    mul v s r
    lds k square_shift
    shr v v k
    mul t m m
    sub v v t
    max v v zero
    stc v VAR
""" + _NORMALISE.format(keep_inverse="stc i INV")

_BN_EVAL = """
    ldc m RMEAN
    lds k mean_shift
    shr m m k
    sat m m 31
    ldc v RVAR
    lds k variance_shift
    shr v v k
""" + _NORMALISE.format(keep_inverse="")

_BN_RUNNING = """
    lds keep keep
    ldc m RMEAN
    lds k mean_shift
    shr m m k
    sat m m 30
    mul m m keep
    ldc n MEAN
    lds w mean_weight
    mul n n w
    add m m n
    shi m m -16
    stc m RMEAN
    ldc v RVAR
    lds k variance_shift
    shr v v k
    sat v v 30
    mul v v keep
    ldc n VAR
    shi n n -14
    lds w variance_weight
    mul n n w
    add v v n
    shi v v -16
    stc v RVAR
"""

_BOTH_SUMS = """
    ldc {register} {sum}
    shi {register} {register} 8
    ldc low L{sum}
    add {register} {register} low
"""

# dx = A g - (A m / std) x + (A m / std) mean - A mean(g), m = mean(g * xhat)
_BN_BACKWARD = """
    {first}
    ldc mean MEAN
    ldc i INV
    {second}
    shi c c 15
    mul t mean s
    sub c c t
    shi c c {unit}
    sat c c 31
    mul c c i
    shi c c -24
    stc c DG
    lds r reciprocal
    mul c c r
    lds k projection_shift
    shr c c k
    mul s s r
    lds k mean_shift
    shr s s k
    ldc a GAMMA
    mul a a i
    lds k a_shift
    shr a a k
    sat a a 17
    mul b a c
    shi b b -9
    mul b b i
    shi b b -36
    sat b b 17
    mul d b mean
    mul t a s
    sub d d t
    shi d d -15
    stc d D
    sub b zero b
    pack t a b
    stc t AB
    {low}
"""
_ONE_BYTE = {"first": "ldc s S1", "second": "ldc c S2", "unit": "-15", "low": ""}
_TWO_BYTES = {
    "first": _BOTH_SUMS.format(register="s", sum="S1") + "sat s s 31",
    "second": _BOTH_SUMS.format(register="c", sum="S2"),
    "unit": "-23",
    "low": f"addi b zero {1 << BN_SHIFT - GUARD_BITS}\npack t a b\nstc t LAB\nstc zero LD",
}

_BOTH_S1 = _BOTH_SUMS.format(register="g", sum="S1")

# m = momentum m + gradient + weight_decay p;  p = p - lr m
_SGD = """
    ldc m M_{name}
    mul m m mu
    shi m m -16
    add m m g
    ldc p {name}
    mul t p decay
    shi t t -20
    add m m t
    sat m m 31
    stc m M_{name}
    mul t m lr
    shi t t -28
    sub p p t
    sat p p 30
    stc p {name}
"""
_HYPER = """
    lds mu momentum
    lds decay weight_decay
    lds lr lr
"""
_BN_UPDATE = _HYPER + """
    ldc g DG
    lds k gamma_shift
    shr g g k
""" + _SGD.format(name="GAMMA") + """
    {sum}
    lds k beta_shift
    shr g g k
""" + _SGD.format(name="BETA")

_BIAS_FORWARD = """
    ldc b BIAS
    lds k bias_shift
    shr b b k
    sat b b 46
    stc b D
    lds t coefficients
    stc t AB
"""
_BIAS_UPDATE = _HYPER + """
    {sum}
    lds k gradient_shift
    shr g g k
""" + _SGD.format(name="BIAS")


@dataclass(frozen=True)
class Program:
    """A scalar program: instructions, the channel entries they address, the scalars in the order they expect."""

    entries: tuple[str, ...]
    scalars: tuple[str, ...]
    words: tuple[int, ...]


def assemble(text: str, entries: tuple[str, ...], scalars: tuple[str, ...]) -> tuple[int, ...]:
    """Return the instructions of a program.

    Args:
        text: one instruction per line: the operation, the register written (none for stc), then operands. Registers
            are any names, numbered as they appear; `zero` is never written. ldc and stc end with an entry's name, lds
            with a scalar's, addi, shi and sat with a number.
        entries: words of a channel, in order.
        scalars: words of the scalar block, in order.

    Raises:
        ScalarError: an unknown operation, entry or scalar, an immediate that does not fit, or too many registers.
    """
    registers: dict[str, int] = {}
    words = []
    for line in filter(None, (line.split() for line in text.splitlines())):
        op, *operands = line
        values = {"imm": 0, "rd": 0, "ra": 0, "rb": 0}
        if op in ("ldc", "stc", "lds"):
            known = scalars if op == "lds" else entries
            if operands[-1] not in known:
                raise scalar_ops.ScalarError(f"{' '.join(line)}: {operands[-1]} is none of {', '.join(known)}")
            values["imm"] = known.index(operands.pop())
        elif op in ("addi", "shi", "sat"):
            values["imm"] = int(operands.pop())
        places = ("ra",) if op == "stc" else ("rd", "ra", "rb")[: len(operands)]
        for place, register in zip(places, operands, strict=True):
            values[place] = registers.setdefault(register, len(registers))
        words.append(scalar_ops.encode(op, **values))
    if len(registers) > scalar_ops.REGISTERS:
        raise scalar_ops.ScalarError(f"the program names {len(registers)} registers; there are {scalar_ops.REGISTERS}")
    return tuple(words)


def _program(text: str, entries: tuple[str, ...]) -> Program:
    lines = (line.split() for line in text.splitlines())
    scalars = tuple(dict.fromkeys(line[-1] for line in lines if line and line[0] == "lds"))
    return Program(entries, scalars, assemble(text, entries, scalars))


PROGRAMS = {
    "bn_forward": _program(_BN_FORWARD, BN_ENTRIES),
    "bn_running": _program(_BN_RUNNING, BN_ENTRIES),
    "bn_eval": _program(_BN_EVAL, BN_ENTRIES),
    "bn_backward": _program(_BN_BACKWARD.format(**_ONE_BYTE), BN_ENTRIES),
    "bn_backward_16": _program(_BN_BACKWARD.format(**_TWO_BYTES), BN_ENTRIES + BN_LOW_ENTRIES),
    "bn_update": _program(_BN_UPDATE.format(sum="ldc g S1"), BN_ENTRIES),
    "bn_update_16": _program(_BN_UPDATE.format(sum=_BOTH_S1), BN_ENTRIES + BN_LOW_ENTRIES),
    "bias_forward": _program(_BIAS_FORWARD, BIAS_ENTRIES),
    "bias_update": _program(_BIAS_UPDATE.format(sum="ldc g S1"), BIAS_ENTRIES),
    "bias_update_16": _program(_BIAS_UPDATE.format(sum=_BOTH_S1), BIAS_ENTRIES + BIAS_LOW_ENTRIES),
}


@dataclass
class _Channels:
    """A channel table and a scalar block as scalar_ops.run sees them."""

    table: np.ndarray
    scalars: np.ndarray

    def load_channel(self, imm: int) -> np.ndarray:
        return self.table[:, imm].copy()

    def store_channel(self, imm: int, value: np.ndarray) -> None:
        self.table[:, imm] = value

    def load_scalar(self, imm: int) -> int:
        return int(self.scalars[imm])


def run_program(program: tuple[int, ...], table: np.ndarray, scalars: np.ndarray) -> np.ndarray:
    """Run a scalar program for every channel and return the new table.

    Args:
        program: 32-bit instructions.
        table: int64 (channels, entries); not changed.
        scalars: int64 (words,).

    Returns:
        int64 (channels, entries).
    """
    channels = _Channels(np.array(table, np.int64), np.asarray(scalars, np.int64))
    scalar_ops.run(program, len(channels.table), channels)
    return channels.table
