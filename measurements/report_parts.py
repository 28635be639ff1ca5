"""What a report is made of: figures and tables as plain data, and how numbers and foreign text are written in them.

Figures are plotly's JSON. Colours in them are names of the page's own palette, "@blue" or "@blue/0.2" with opacity, so that one
figure serves a light and a dark page. The palette is Okabe and Ito's (2008), told apart with any colour vision; labels differ in
their markers as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

LABEL_STYLE = {"simulated": ("@blue", "square"), "emulated": ("@vermillion", "diamond"), "measured": ("@ink", "circle")}
"""Label to colour and marker."""

PHASE_COLOUR = {
    "load": "@sky", "forward": "@blue", "backward": "@orange", "update": "@green", "idle": "@grey", "signature": "@purple",
    "evaluate": "@yellow",
}  # fmt: skip
SERIES = ("@blue", "@vermillion", "@green", "@purple", "@orange", "@sky", "@ink", "@yellow", "@grey")

TEXT_MOST, NAME_MOST = 400, 60
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"))


class ReportError(RuntimeError):
    """No page can be made of these runs, or it cannot be written; the message says why."""


@dataclass(frozen=True)
class Table:
    """A table: rows of cells, each text or a number that has been written already.

    Attributes:
        title, columns, rows: as named.
        note: stands below it.
        folded: shown only when a reader opens it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    folded: bool = False


@dataclass(frozen=True)
class View:
    """One way to look at a figure: a name to choose it by, plotly's traces and layout."""

    name: str
    data: list[dict]
    layout: dict


@dataclass(frozen=True)
class Figure:
    """A figure of one or several views.

    Attributes:
        key: unique in the page, made of letters, digits and dashes.
        title, said: heading, and what a reader must know to read it.
        views: at least one.
        height: in pixels.
        table: the same in numbers, for those who cannot see it.
    """

    key: str
    title: str
    said: str
    views: tuple[View, ...]
    height: int = 380
    table: Table | None = None


@dataclass(frozen=True)
class Section:
    """A part of the page: heading, remarks, then figures and tables in the order given."""

    key: str
    title: str
    remarks: tuple[str, ...] = ()
    parts: tuple[Figure | Table, ...] = ()
    warnings: tuple[str, ...] = ()
    missing: tuple[str, ...] = field(default=())


def plain(text, most: int = TEXT_MOST) -> str:
    """Return foreign text as one line of at most so many characters, without control characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)[: 8 * most]).split())
    return line if len(line) <= most else line[: most - 3] + "..."


def marked(text, most: int = NAME_MOST) -> str:
    """Return foreign text for plotly, which reads a few HTML tags in names: here it reads none."""
    return plain(text, most).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def distinct(texts: Sequence[str]) -> list[str]:
    """Return texts with a number behind those that stand there already: plotly puts bars of one name on top of each other."""
    seen: dict[str, int] = {}
    found = []
    for text in texts:
        seen[text] = seen.get(text, 0) + 1
        found.append(text if seen[text] == 1 else f"{text} ({seen[text]})")
    return found


def number(value, digits: int = 4) -> str:
    """Return a number with so many digits, "none" for None or what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return "none"
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}g}"


def scale_of(values: Sequence[float]) -> tuple[float, str]:
    """Return what values are divided by, and the prefix of their unit, so that the largest is between 1 and 1000."""
    largest = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    for scale, prefix in PREFIXES:
        if largest >= scale:
            return scale, prefix
    return 1.0, ""


def with_unit(value: float | None, unit: str, digits: int = 4) -> str:
    """Return a number with its unit and the prefix that fits."""
    if value is None or not math.isfinite(value):
        return "none"
    scale, prefix = scale_of([value])
    return f"{value / scale:.{digits}g} {prefix}{unit}"


def with_u(value: float, u95: float | None, unit: str = "J") -> str:
    """Return a value with its expanded uncertainty, both with two digits of it; without one, or with none at all, four digits."""
    if u95 is None:
        return with_unit(value, unit)
    scale, prefix = scale_of([value if abs(value) > u95 else u95])
    if u95 == 0:
        return f"{value / scale:.4g} ± 0 {prefix}{unit}"
    places = max(0, 1 - math.floor(math.log10(float(f"{u95 / scale:.1e}"))))  # of two digits: 0.0996 is 0.10
    return f"{value / scale:.{places}f} ± {u95 / scale:.{places}f} {prefix}{unit}"


def axis(title: str, **more) -> dict:
    """Return a plotly axis with a title."""
    return {"title": {"text": title}, **more}
