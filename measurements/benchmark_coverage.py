"""Whether U holds what it promises: seeded trials with all errors drawn anew, true energies against intervals.

    python -m measurements.benchmark_coverage [--trials 1000] [--regimes balanced] [--scale 1.0] [--seed 1]

Per class of waveform, for gross and net: the share of true energies inside value +- U, and the median U over the 95 % half-width
of the error. Exits with 1 where a class covers less than 93 %, states more than 1.5 times what is needed, or is refused.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

import numpy as np

from measurements.coverage_cases import CLASSES, REGIMES, beating, draw, locked
from measurements.joules import joules

COVERED = 0.93
WIDEST = 1.5
BEATS = [(spacing_s, averaging_s, vary) for vary in (0.0, 0.03)
         for spacing_s, averaging_s in ((0.05, 0.0), (0.1, 0.0352), (0.05, 0.0352), (0.036, 0.0352), (0.03, 0.0352))]  # fmt: skip
"""Spacing, length of averages (0: points) and variation of iterations, where samples and iterations are nearly in step."""


@dataclass(frozen=True)
class Result:
    """What trials of one class say of gross or net energy.

    Attributes:
        error_j, u95_j: (n,) of the trials that were not refused.
        refused: verdicts of the others.
    """

    error_j: np.ndarray
    u95_j: np.ndarray
    refused: tuple[str, ...]

    def covered(self, scale: float = 1.0) -> float:
        """Return the share of trials with the truth inside value +- scale U."""
        return float(np.mean(np.abs(self.error_j) <= scale * self.u95_j))

    @property
    def half_width_j(self) -> float:
        """95 % of the errors are smaller."""
        return float(np.quantile(np.abs(self.error_j), 0.95))

    def wide(self, scale: float = 1.0) -> float:
        """Return the median U over what would be needed."""
        return scale * float(np.median(self.u95_j)) / self.half_width_j

    def good(self, scale: float = 1.0, slack: float = 0.0) -> bool:
        """Return whether the class holds; `slack` is what few trials may be off by."""
        return not self.refused and self.covered(scale) >= COVERED - slack and self.wide(scale) <= WIDEST * (1 + slack)


def trial(kind: str, regime: str, trials: int, seed: int) -> dict[str, Result]:
    """Return the results of so many trials of a class, for "gross" and "net"."""
    rows: dict[str, list] = {"gross": [], "net": []}
    refused: dict[str, list] = {"gross": [], "net": []}
    for number in range(trials):
        rng = np.random.default_rng([seed, CLASSES.index(kind), list(REGIMES).index(regime), number])
        case = draw(kind, REGIMES[regime], rng)
        found = joules(case.trace, case.window, idle=case.idle, alignment=case.alignment)
        for name, quantity, true_j in (("gross", found.gross, case.gross_j), ("net", found.net, case.net_j)):
            if quantity is None or quantity.u95 is None:
                refused[name].append("; ".join(found.warnings) if quantity is None else quantity.verdict)
            else:
                rows[name].append((quantity.value - true_j, quantity.u95))
    return {name: Result(*np.array(rows[name] or np.zeros((0, 2))).T, tuple(refused[name])) for name in rows}


def locked_verdicts(trials: int, seed: int) -> list[str]:
    """Return the verdicts on pulses that are locked to a point sampler."""
    said = []
    for number in range(trials):
        case = locked(np.random.default_rng([seed, 99, number]))
        said.append(joules(case.trace, case.window, idle=case.idle, alignment=case.alignment).gross.verdict)
    return said


def beats(trials: int, seed: int, spacing_s: float, averaging_s: float, vary: float) -> tuple[float, int]:
    """Return the share of gross energies inside U, and how many were refused, where samples beat with the iterations."""
    inside = []
    for number in range(trials):
        case = beating(np.random.default_rng([seed, 98, number]), spacing_s, averaging_s, vary)
        found = joules(case.trace, case.window, idle=case.idle, alignment=case.alignment).gross
        if found.u95 is not None:
            inside.append(abs(found.value - case.gross_j) <= found.u95)
    return float(np.mean(inside)), trials - len(inside)


def main(arguments: list[str] | None = None) -> int:
    """Run the trials, print a table, return 0 where everything holds."""
    parser = argparse.ArgumentParser(prog="python -m measurements.benchmark_coverage", description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=1000, help="per class (default 1000)")
    parser.add_argument("--regimes", default="balanced", help=f"comma separated, or all: {', '.join(REGIMES)}")
    parser.add_argument("--classes", default="all", help=f"comma separated, or all: {', '.join(CLASSES)}")
    parser.add_argument("--scale", type=float, default=1.0, help="of U; 0.7 must fail")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    regimes = list(REGIMES) if asked.regimes == "all" else asked.regimes.split(",")
    classes = list(CLASSES) if asked.classes == "all" else asked.classes.split(",")
    began, good = time.monotonic(), True
    print(f"{asked.trials} trials per class, U times {asked.scale:g}: truth inside; median U over 95 % half-width of the error")
    print(f"{'regime':17} {'class':20} {'':6} {'inside':>7} {'at 0.7 U':>9} {'U / need':>9} {'refused':>8}")
    for regime in regimes:
        for kind in classes:
            for name, result in trial(kind, regime, asked.trials, asked.seed).items():
                holds = bool(len(result.error_j)) and result.good(asked.scale)
                good &= holds
                if len(result.error_j):
                    print(f"{regime:17} {kind:20} {name:6} {result.covered(asked.scale):7.1%} "
                          f"{result.covered(0.7 * asked.scale):9.1%} {result.wide(asked.scale):9.2f} {len(result.refused):8d}"
                          f"{'' if holds else '  FAILS'}")  # fmt: skip
                for why in sorted(set(result.refused))[:2]:
                    print(f"    refused: {why}")
    verdicts = locked_verdicts(min(asked.trials, 100), asked.seed)
    caught = sum(verdict.startswith("invalid: locked") for verdict in verdicts)
    good &= caught == len(verdicts)
    print(f"pulses locked to a point sampler: {caught} of {len(verdicts)} are 'invalid: locked'")
    print("samples at about the iterations' period (within 5 %), gross energy inside U:")
    for spacing_s, averaging_s, vary in BEATS:
        inside, refused = beats(asked.trials, asked.seed, spacing_s, averaging_s, vary)
        good &= inside >= COVERED
        what = f"averages over {averaging_s:g} s read every {spacing_s:g} s" if averaging_s else f"points every {spacing_s:g} s"
        print(f"    {what}, iterations that vary by {vary:g}: {inside:.1%}, {refused} refused as locked")
    print(f"{'holds' if good else 'FAILS'} after {time.monotonic() - began:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
