"""The uncertainty budget: what each source of error does to an energy, and what they come to together.

A limit a of a data sheet without a distribution is rectangular, u = a / sqrt(3) (GUM 4.3.7). Terms with the same key are one and
the same error: they are added with their signs before they are squared, so that an offset cancels between a run and its idle,
and a gain does not. U = k u with k from Student's t at the effective degrees of freedom (Welch and Satterthwaite, GUM G.4),
at the level that makes k = 2 where degrees of freedom are many.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

RECTANGULAR = 1 / math.sqrt(3)
LEVEL = math.erf(math.sqrt(2))
"""Of confidence: 95.45 %, two standard deviations of a normal distribution."""


@dataclass(frozen=True)
class Source:
    """What one error does to an energy.

    Attributes:
        name: as shown: "gain", "shunt", "offset", "noise" ...
        key: equal keys are one and the same error.
        u_j: standard uncertainty times sensitivity, with the sign of the sensitivity.
        dof: degrees of freedom with which the uncertainty is known.
        systematic: the same in every repeat, so that repeating does not average it out.
        grows: power of the window's length with which it grows: 1, 0.5 or 0.
    """

    name: str
    key: tuple
    u_j: float
    dof: float = math.inf
    systematic: bool = False
    grows: float = 0.0

    def times(self, factor: float) -> Source:
        """Return what the same error does to `factor` times the energy."""
        return replace(self, u_j=self.u_j * factor)


@dataclass(frozen=True)
class Term:
    """One line of a budget: standard uncertainty in joules and its degrees of freedom; the rest as in Source."""

    name: str
    u_j: float
    dof: float
    systematic: bool
    grows: float

    def to_json(self) -> dict:
        """Return JSON data; infinite degrees of freedom are null."""
        return {"name": self.name, "u_j": self.u_j, "dof": _finite(self.dof), "systematic": self.systematic}


@dataclass(frozen=True)
class Budget:
    """All terms of an energy, largest first, and what they come to."""

    terms: tuple[Term, ...]
    u_j: float
    dof: float
    k: float

    @property
    def u95_j(self) -> float:
        """Expanded uncertainty at 95 %."""
        return self.k * self.u_j

    def to_json(self) -> dict:
        """Return JSON data."""
        return {"u_j": self.u_j, "dof": _finite(self.dof), "k": self.k, "u95_j": self.u95_j,
                "terms": [term.to_json() for term in self.terms]}  # fmt: skip


def combined(sources: Iterable[Source]) -> Budget:
    """Return the budget of an energy that all the sources act on, a line for each name.

    A line is systematic where one of its sources is, and grows as the fastest of them: repeating takes none away that lasts.
    """
    by_key: dict[tuple, Source] = {}
    for source in sources:
        key = (source.name, *source.key)
        seen = by_key.get(key)
        by_key[key] = source if seen is None else replace(seen, u_j=seen.u_j + source.u_j, dof=min(seen.dof, source.dof))
    by_name: dict[str, list[Source]] = {}
    for source in by_key.values():
        by_name.setdefault(source.name, []).append(source)
    terms = []
    for name, group in by_name.items():
        u_j = math.sqrt(math.fsum(source.u_j**2 for source in group))
        dof, lasts = effective_dof([(s.u_j, s.dof) for s in group]), any(s.systematic for s in group)
        terms.append(Term(name, u_j, dof, lasts, max(s.grows for s in group)))
    return of_terms(terms)


def of_terms(terms: Iterable[Term]) -> Budget:
    """Return the budget of independent terms."""
    terms = tuple(sorted(terms, key=lambda term: -term.u_j))
    u_j = math.sqrt(math.fsum(term.u_j**2 for term in terms))
    dof = effective_dof([(term.u_j, term.dof) for term in terms])
    return Budget(terms, u_j, dof, student_t(0.5 + LEVEL / 2, dof))


def effective_dof(parts: list[tuple[float, float]]) -> float:
    """Return Welch and Satterthwaite's degrees of freedom of a sum of independent (u, dof)."""
    total = math.fsum(u**2 for u, _ in parts) ** 2
    below = math.fsum(u**4 / dof for u, dof in parts if not math.isinf(dof))
    return total / below if below > 0 else math.inf


@functools.lru_cache(maxsize=4096)
def student_t(p: float, dof: float) -> float:
    """Return the quantile of Student's t: the t that a share p lies below. Degrees of freedom need not be whole.

    Raises:
        ValueError: p outside (0, 1) or dof not above 0.
    """
    if not 0 < p < 1 or not dof > 0:
        raise ValueError(f"a quantile of t at p = {p} with {dof} degrees of freedom: p is inside 0 to 1, the degrees above 0")
    if p == 0.5:
        return 0.0
    if p < 0.5:
        return -student_t(1 - p, dof)
    if dof > 1e4:
        # Cornish and Fisher's expansion about the normal quantile; what it leaves out is below 1e-12 here.
        z = _normal(p)
        return z + (z**3 + z) / (4 * dof) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * dof**2)
    low, high = 0.0, 2.0
    while _t_below(high, dof) < p:
        low, high = high, high * 4
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _t_below(middle, dof) < p else (low, middle)
    return (low + high) / 2


def _normal(p: float) -> float:
    """Return the quantile of the normal distribution for p >= 0.5, by bisection of the error function."""
    low, high = 0.0, 40.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if 0.5 * math.erfc(-middle / math.sqrt(2)) < p else (low, middle)
    return (low + high) / 2


def _t_below(t: float, dof: float) -> float:
    """Return the share of Student's t that lies below t >= 0."""
    x = dof / (dof + t * t)
    return 1 - 0.5 * _incomplete_beta(dof / 2, 0.5, x, t * t / (dof + t * t))


def _incomplete_beta(a: float, b: float, x: float, y: float) -> float:
    """Return the regularised incomplete beta function at x, with y = 1 - x, by its continued fraction (Lentz)."""
    if x <= 0 or y <= 0:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, y, x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(y)) / a
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 10000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / _nonzero(1 + step * d)
            c = _nonzero(1 + step / c)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * value


def _nonzero(value: float) -> float:
    return value if abs(value) > 1e-300 else 1e-300


def _finite(dof: float) -> float | None:
    return None if math.isinf(dof) else dof
