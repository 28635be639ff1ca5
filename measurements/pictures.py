"""Pictures of a run: what was learned and what it cost by iteration, and where the joules and seconds went.

Only this file imports matplotlib, and only when a picture is drawn. Colours are Okabe and Ito's (2008), told apart
with any colour vision; lines also differ in style and areas in hatching.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measurements.energy_model import SHARES, Shares

BLUE, ORANGE, GREEN, RED, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
SHARE_STYLE = {
    "array": (BLUE, ""),
    "memory": (ORANGE, "//"),
    "vector": (GREEN, ".."),
    "processor": (PURPLE, "xx"),
    "idle": ("#BBBBBB", ""),
}
SIZE_IN = (8.0, 9.0)
DPI = 130


class PictureError(RuntimeError):
    """A picture cannot be drawn; the message says what is missing."""


@dataclass(frozen=True)
class RunCurves:
    """What is drawn of a run, one value per executed iteration.

    Attributes:
        title: run and board.
        loss: cross-entropy of the mini-batches, nats.
        right: share of right answers in each mini-batch, before its update.
        accuracy: (iteration, share of right answers on held-out images), may be empty.
        energy_j: label to gross joules per iteration; empty for a board without a clock.
        shares: simulated joules by share per iteration.
    """

    title: str
    loss: Sequence[float]
    right: Sequence[float]
    accuracy: Sequence[tuple[int, float]]
    energy_j: dict[str, Sequence[float]]
    shares: Sequence[Shares]


@dataclass(frozen=True)
class Point:
    """A run in a picture of energy against accuracy: simulated gross joules, share of right answers and its half-width."""

    name: str
    energy_j: float
    accuracy: float
    half_width: float


def _axes(rows: int):
    """Return (figure, list of axes) drawn without a display, one below the other."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise PictureError("pictures need matplotlib, which is not installed: pip install matplotlib") from None
    figure = Figure(figsize=SIZE_IN, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for ax in axes:
        ax.grid(True, color="#DDDDDD", linewidth=0.6)
        ax.set_axisbelow(True)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
    return figure, list(axes)


def draw_run(curves: RunCurves, path: Path) -> None:
    """Write a PNG of loss, accuracy and energy by iteration, and below it the energy's shares.

    Raises:
        PictureError: matplotlib is not installed, or the file cannot be written.
    """
    figure, axes = _axes(4 if curves.shares else 2)
    figure.suptitle(curves.title)
    steps = range(1, len(curves.loss) + 1)
    axes[0].plot(steps, curves.loss, color=BLUE, linewidth=1.2)
    axes[0].set_ylabel("loss of the mini-batch\n(nats)")
    axes[0].set_ylim(bottom=0)
    _draw_accuracy(axes[1], curves.right, curves.accuracy)
    if curves.shares:
        _draw_energy(axes[2], curves.energy_j)
        _draw_shares(axes[3], curves.shares)
    axes[-1].set_xlabel("iteration")
    _save(figure, path)


def _draw_accuracy(ax, right: Sequence[float], accuracy: Sequence[tuple[int, float]]) -> None:
    ax.set_ylabel("right answers\n(%)")
    ax.set_ylim(0, 103)
    ax.plot(range(1, len(right) + 1), [100 * value for value in right], color=ORANGE, linewidth=1.0, label="mini-batch")
    if accuracy:
        steps, values = zip(*accuracy, strict=True)
        line = {"color": GREEN, "marker": "o", "markersize": 7, "markeredgecolor": "white", "zorder": 3, "clip_on": False}
        ax.plot(steps, [100 * value for value in values], label=f"held-out images:\n{100 * values[-1]:.1f} %", **line)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _draw_energy(ax, energy_j: dict[str, Sequence[float]]) -> None:
    styles = {"simulated": (BLUE, "-"), "emulated": (RED, "--"), "measured": ("#000000", "-.")}
    for label, values in energy_j.items():
        colour, line = styles[label]
        ax.plot(range(1, len(values) + 1), [1e3 * v for v in values], color=colour, linestyle=line, linewidth=1.4, label=label)
    highest = max((1e3 * v for values in energy_j.values() for v in values), default=0.0)
    ax.set_ylabel("energy, gross\n(mJ per iteration)")
    ax.set_ylim(0, 1.15 * highest if highest else 1.0)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _draw_shares(ax, shares: Sequence[Shares]) -> None:
    """Stack the energy above idle; idle would hide the rest and is said in the heading."""
    names = [name for name in SHARES if name != "idle"]
    series = [[1e3 * getattr(s, name) for s in shares] for name in names]
    colours, hatches = zip(*(SHARE_STYLE[name] for name in names), strict=True)
    areas = ax.stackplot(range(1, len(shares) + 1), series, labels=names, colors=colours, edgecolor="white", linewidth=0.0)
    for area, hatch in zip(areas, hatches, strict=True):
        area.set_hatch(hatch)
    idle = 1e3 * sum(s.idle for s in shares) / len(shares)
    ax.set_title(f"simulated energy above idle, by share (idle: {idle:.3g} mJ more per iteration)", fontsize="medium")
    ax.set_ylabel("energy, net\n(mJ per iteration)")
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def draw_shares(title: str, joules: Shares, seconds: Shares, path: Path) -> None:
    """Write a PNG of a run's simulated joules and of its seconds as two stacked bars, in percent, with the amounts.

    Raises:
        PictureError: matplotlib is not installed, or the file cannot be written.
    """
    figure, axes = _axes(1)
    figure.set_size_inches(SIZE_IN[0], 3.4)
    ax = axes[0]
    rows = [("time", seconds, "s"), ("energy above idle\n(simulated)", joules, "J"), ("energy, gross\n(simulated)", joules, "J")]
    for row, (name, shares, unit) in enumerate(rows):
        parts = [s for s in SHARES if not (name.startswith("energy above") and s == "idle")]
        total, left = sum(getattr(shares, s) for s in parts), 0.0
        for share in parts:
            part = 100 * getattr(shares, share) / total if total else 0.0
            colour, hatch = SHARE_STYLE[share]
            ax.barh(row, part, left=left, color=colour, hatch=hatch, edgecolor="white", label=share if not row else None)
            if part >= 8:
                box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
                ax.text(left + part / 2, row, f"{part:.0f} %", ha="center", va="center", fontsize="small", bbox=box)
            left += part
        ax.text(101, row, f"{total:.3g} {unit}", va="center", fontsize="small")
    ax.grid(False, axis="y")
    ax.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    ax.set_xlim(0, 112)
    ax.set_xticks(range(0, 101, 20))
    ax.set_xlabel("share of the run (%)")
    ax.set_title(title)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=len(SHARES), frameon=False)
    _save(figure, path)


def _save(figure, path: Path) -> None:
    try:
        figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})
    except OSError as error:
        raise PictureError(f"the picture {path} cannot be written: {error.strerror or error}") from None


def draw_energy_accuracy(title: str, label: str, points: Sequence[Point], path: Path) -> None:
    """Write a PNG of accuracy over joules of one label on a logarithmic scale, a mark and a name per run.

    Raises:
        PictureError: matplotlib is not installed, or the file cannot be written.
    """
    figure, (ax,) = _axes(1)
    figure.set_size_inches(SIZE_IN[0], 5.0)
    figure.suptitle(title)
    colours, marks = (BLUE, ORANGE, GREEN, RED, PURPLE, "#555555"), "osD^vPX"
    for number, point in enumerate(points):
        style = {"color": colours[number % len(colours)], "marker": marks[number % len(marks)], "linestyle": ""}
        ax.errorbar(point.energy_j, 100 * point.accuracy, 100 * point.half_width, capsize=3, label=point.name, **style)
    ax.set_xscale("log", subs=())
    ax.xaxis.get_major_locator().set_params(subs=(1, 1.5, 2, 3, 5, 7))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlabel(f"energy of the run, gross (J, {label})")
    ax.set_ylabel("right answers on held-out images (%)")
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    _save(figure, path)
