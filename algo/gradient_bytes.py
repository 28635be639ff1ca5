"""Passes that make gradients of 16 bits, 256 high + low, of operands that have the same form. No torch.

Everything that a backward pass does to a gradient is linear in it. So what the pass for int8 does is done to the high bytes and
to the low ones, into 24 bits that stay in the scratchpads; their sum is rounded to 16 bits, and each byte of these is a pass:

    wide     = round(2^12 (A high + B addend_high + D))
    wide_low = round(2^4  (A low + B addend_low))           both in 2^-12 of the result's unit
    out      = bytes of round((wide + wide_low) / 2^4)

The array sees int8 alone, and multiplies twice. Four bits are left below for what rounding to 24 bits loses, and as many above
for results of more than 16 bits, whose maximum is needed.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from algo.lower import Lowering
from algo.step import Pass, Term, low_name

LOW_BITS, GUARD_BITS = 8, 4
LOW = Fraction(1, 1 << LOW_BITS)
"""What a low byte counts, in units of a high one."""


def two_byte_passes(lowering: Lowering, one: Pass, noise: str, terms: dict) -> tuple[Pass, ...]:
    """Return the passes that do to both bytes what `one` does to a byte; add their records.

    Args:
        one: with the name of its record, which is not there yet.
        noise: name that keys the rounding.
        terms: the fields of its record, for int8.
    """
    out, wide, low_wide = one.out, f"{one.record}.wide", f"{one.record}.wide.low"
    added = LOW_BITS + GUARD_BITS
    lowering.record(wide, out, **_scaled(terms, added))
    lowering.record(low_wide, out, **_scaled(terms, added - LOW_BITS))
    step = Term(str(Fraction(1, 1 << GUARD_BITS)), (out,))
    lowering.record(one.record, out, noise=noise, a=step, b=step)
    operands = {"table": one.table, "su": one.su, "wide": True}
    high = Pass(one.u, one.v, wide, wide, **operands)
    low_u = "acc_low" if one.u == "acc" else low_name(one.u)
    # What a batch norm adds to its gradient is no gradient: it is in the sum once.
    low_v, entry = ("", "LAB") if one.table else (one.v and low_name(one.v), "AB")
    low = Pass(low_u, low_v, low_wide, low_wide, **operands, entry=entry)
    joined = replace(one, u=wide, v=low_wide, table="", su=0, byte="high")
    low_sums = {"sums_entry": "LS1"} if one.sums else {}
    return high, low, joined, replace(joined, out=low_name(out), byte="low", maximum="", **low_sums)


def low_sums(one: Pass) -> Pass:
    """Return the pass that sums low bytes as `one` sums the high ones; a byte of itself is itself, -128 too."""
    return replace(one, u=low_name(one.u), sums_entry="LS1", byte="low")


def _scaled(terms: dict, bits: int) -> dict:
    """Fields of a record whose result is 2^bits times as large."""
    if "fixed_shift" in terms:
        return {"fixed_shift": terms["fixed_shift"] - bits}
    return {name: scaled(term, Fraction(1 << bits)) for name, term in terms.items()}


def scaled(term: Term, factor: Fraction) -> Term:
    """Return a term times a factor."""
    return replace(term, factor=str(factor * (1 if term.factor == "one" else Fraction(term.factor))))
