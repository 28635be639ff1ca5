"""The table of exp, log, sigmoid and cos that every executor reads, made in integers. No torch.

    python -m algo.function_table            writes algo/function_table.json

Values have 24 fraction bits, rounded to nearest; `functions` interpolates between neighbouring ones. tanh follows from sigmoid.
"""

from __future__ import annotations

import json
from fractions import Fraction
from functools import cache
from pathlib import Path

from algo import exact

PATH = Path(__file__).with_name("function_table.json")
BITS = 24
"""Fraction bits of every value."""

EXP_STEPS, EXP_WHOLE, LOG_STEPS, SIGMOID_STEPS, SIGMOID_END, COS_STEPS = 1024, 18, 1024, 64, 16, 1536
"""Knots per unit of exp and log; whole numbers of exp; knots per unit of sigmoid and its end; knots of a quarter turn of cos,
a multiple of 3, so that cos of 60 degrees is exactly one half."""


def make() -> dict[str, list[int]]:
    """Return every table, from the series.

    exp_fraction: exp(-i / 1024), 0 to 1.   exp_whole: exp(-i), 0 to 18.   log: log(1 + i / 1024), 0 to 1; last entry is log 2.
    sigmoid: 1 / (1 + exp(-i / 64)), 0 to 16.   cos: cos(pi i / 3072), 0 to a quarter turn.
    """
    one = 1 << exact.WORKING_BITS
    logistic = [one * one // (one + exact.exp_minus(Fraction(i, SIGMOID_STEPS))) for i in range(SIGMOID_STEPS * SIGMOID_END + 1)]
    tables = {
        "exp_fraction": [exact.exp_minus(Fraction(i, EXP_STEPS)) for i in range(EXP_STEPS + 1)],
        "exp_whole": [exact.exp_minus(Fraction(i)) for i in range(EXP_WHOLE + 1)],
        "log": [exact.log(1 + Fraction(i, LOG_STEPS)) for i in range(LOG_STEPS + 1)],
        "sigmoid": logistic,
        "cos": [exact.cos_half_turn(Fraction(i, 2 * COS_STEPS)) for i in range(COS_STEPS + 1)],
    }
    return {name: [exact.rounded(value, BITS) for value in values] for name, values in tables.items()}


@cache
def load() -> dict[str, tuple[int, ...]]:
    """Return the tables of the file."""
    return {name: tuple(values) for name, values in json.loads(PATH.read_text()).items()}


def text() -> str:
    """Return what the file holds."""
    return json.dumps(make(), separators=(",", ":")).replace("],", "],\n") + "\n"


if __name__ == "__main__":
    PATH.write_text(text())
