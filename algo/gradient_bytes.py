"""Passes that make gradients of 16 bits, 256 high + low, of operands that have the same form. No torch.

Everything that a backward pass does to a gradient is linear in it. So what the pass for int8 does is done to the high bytes, into
24 bits that stay in the scratchpads; the low ones come to it before it is rounded to 16 bits, of which each byte is a pass:

    wide = round(2^12 (A high + B addend_high + D))         in 2^-12 of the result's unit
    wide = round(wide + 2^4 B addend_low)                   where there is an addend
    out  = bytes of round(A low + wide / 2^4)

A gradient that comes alone needs no more than bytes of round(2^8 A high + A low). The array sees int8 in all of this, and
multiplies twice. Four bits are left below for what rounding to 24 bits loses, and as many above for results of more than 16
bits, whose maximum is needed.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from algo.arithmetic import GUARD_BITS, LOW_BITS
from algo.lower import Lowering
from algo.step import Pass, Term, low_name

LOW, GUARD = Fraction(1, 1 << LOW_BITS), Fraction(1, 1 << GUARD_BITS)
"""What a low byte counts, in units of a high one, and what a number of 24 bits, in units of a low one."""


def one_byte_pass(lowering: Lowering, one: Pass, noise: str, terms: dict) -> tuple[Pass, ...]:
    """Return the pass itself, for int8, and add its record; arguments as of `two_byte_passes`."""
    lowering.record(one.record, one.out, noise=noise, **terms)
    return (one,)


def two_byte_passes(lowering: Lowering, one: Pass, noise: str, terms: dict) -> tuple[Pass, ...]:
    """Return the passes that do to both bytes what `one` does to a byte; add their records.

    Args:
        one: with the name of its record, which is not there yet.
        noise: name that keys the rounding.
        terms: the fields of its record, for int8.
    """
    if not one.table and not one.v and one.u != "acc":
        lowering.record(one.record, one.out, noise=noise, a=scaled(terms["a"], 1 / LOW), b=terms["a"])
        return _bytes(replace(one, v=low_name(one.u)))
    wide, added = f"{one.record}.wide", LOW_BITS + GUARD_BITS
    lowering.record(wide, one.out, **_scaled(terms, added))
    passes = [Pass(one.u, one.v, wide, wide, one.table, su=one.su, wide=True)]
    unit = Term("one", (one.out,))
    if one.v and not one.table:
        both = lowering.record(f"{wide}.low", one.out, a=scaled(terms["b"], 1 << GUARD_BITS), b=unit)
        passes.append(Pass(low_name(one.v), wide, both, both, wide=True))
        wide = both
    last = {"fixed_shift": terms["fixed_shift"]} if one.table else {"a": terms["a"], "b": scaled(unit, GUARD)}
    lowering.record(one.record, one.out, noise=noise, **last)
    low = "acc_low" if one.u == "acc" else low_name(one.u)
    return *passes, *_bytes(replace(one, u=low, v=wide, entry="LAB"))


def low_sums(one: Pass) -> Pass:
    """Return the pass that sums low bytes as `one` sums the high ones; a byte of itself is itself, -128 too."""
    return replace(one, u=low_name(one.u), sums_entry="LS1", byte="low")


def scaled(term: Term, factor: Fraction | int) -> Term:
    """Return a term times a factor."""
    return replace(term, factor=str(factor * (1 if term.factor == "one" else Fraction(term.factor))))


def _bytes(one: Pass) -> tuple[Pass, Pass]:
    """The pass for the high bytes, which collects the maximum for both, and the one for the low ones."""
    sums = {"sums_entry": "LS1"} if one.sums else {}
    return replace(one, byte="high"), replace(one, out=low_name(one.out), byte="low", maximum="", **sums)


def _scaled(terms: dict, bits: int) -> dict:
    """Fields of a record whose result is 2^bits times as large."""
    if "fixed_shift" in terms:
        return {"fixed_shift": terms["fixed_shift"] - bits}
    return {name: scaled(term, 1 << bits) for name, term in terms.items()}
