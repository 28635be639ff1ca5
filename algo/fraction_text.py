"""Fractions as files write them. No torch."""

from __future__ import annotations

import re
from fractions import Fraction

LONGEST = 200
"""Characters of a fraction; those that recipes and programs hold have some ten."""

_FAR = re.compile(r"[eE][+-]?[0-9_]{4,}\s*$")
"""An exponent of four digits: such a power of ten, written out, would fill the memory of whoever reads the file."""


def read_fraction(value: object) -> Fraction:
    """Return "1/10", "0.1", 0.1 or 1 as a fraction; a float means its shortest decimal, 0.1 one tenth.

    Raises:
        ValueError: it is no finite number, a truth value, or one that is too long to be meant.
        ZeroDivisionError: it is divided by zero.
    """
    text = str(value)
    if isinstance(value, bool) or len(text) > LONGEST or _FAR.search(text):
        raise ValueError(f"{text[:LONGEST]!r} is no number that can be meant")
    return Fraction(text)
