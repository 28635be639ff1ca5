"""The power trace as figures: whole and close up, phases shaded, windows named, gaps marked, every rail with its label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from host.trace import Window
from measurements.report_envelope import Envelope, Numbers
from measurements.report_parts import PHASE_COLOUR, SERIES, Figure, Table, View, axis, marked, number, plain, with_unit
from measurements.report_trace import RailView, TraceView, relative

SHADES_MOST = 300
NARROW = 0.0015
"""Windows that are a smaller share of the picture are not drawn in it."""

MOST_OF_IT = 0.9
"""Windows that fill more of a close-up say nothing in it."""

NAMED = 0.02
"""Windows that are a smaller share of the picture are drawn without their name."""


def power_figures(trace: TraceView, key: str) -> list[Figure]:
    """Return the figures of a trace that has values; none where it has not."""
    if not any(rail.whole.rows for rail in trace.rails):
        return []
    figures = [_figure(trace, f"{key}-power", "Power over the whole recording", (trace.start_s, trace.end_s), False)]
    if trace.close_s is not None and any(rail.close.rows for rail in trace.rails):
        figures.append(_figure(trace, f"{key}-close", "Power, a few iterations close up", trace.close_s, True))
    return figures


def _figure(trace: TraceView, key: str, title: str, span_s: tuple[float, float], close: bool) -> Figure:
    origin_s = trace.start_s
    start_s, end_s = span_s[0] - origin_s, span_s[1] - origin_s
    found = [relative(window, origin_s) for window in trace.windows]
    found = [window for window in found if window.end_s > start_s and window.start_s < end_s]
    shapes, annotations, shares, phases = _windows(found, start_s, end_s, close)
    data, rows = [], []
    for index, rail in enumerate(trace.rails):
        colour = SERIES[index % len(SERIES)]
        envelope = rail.close if close else rail.whole
        data += _curves(rail, envelope, colour, origin_s, len(trace.sensors) > 1)
        gap_shapes = _gaps(rail, origin_s, start_s, end_s)
        shapes += gap_shapes[: max(0, SHADES_MOST - len(shapes))]
        rows.append(_row(rail, rail.in_close if close else rail.in_whole, len(gap_shapes)))
    if any(shape.get("name") == "gap" for shape in shapes):
        data.append(_key("gap: no value", "@vermillion/0.45", "x"))
    data += [_key(phase, f"{PHASE_COLOUR[phase]}/0.45", "square") for phase in PHASE_COLOUR if phase in phases]
    layout = {
        "xaxis": axis("time since the recording began (s)", range=[start_s, end_s]),
        "yaxis": axis("power (W)"),
        "shapes": shapes, "annotations": annotations, "meta": {"shares": shares}, "margin": {"t": 34},
    }  # fmt: skip
    columns = ("rail", "label", "values", "lowest", "mean", "highest", "longest distance", "gaps here")
    return Figure(key, title, _said(trace, close), (View("power", data, layout),), 420,
                  Table("The same in numbers", columns, tuple(rows)))  # fmt: skip


def _said(trace: TraceView, close: bool) -> str:
    parts = []
    widest_s = max((rail.close if close else rail.whole).width_s for rail in trace.rails)
    if widest_s:
        parts.append(f"Each point is the mean of up to {with_unit(widest_s, 's', 3)}; the band goes from the lowest to the "
                     "highest value in it, so no peak is lost.")  # fmt: skip
    if any(rail.kind == "average" for rail in trace.rails):
        parts.append("This sensor averages: a value stands for the time before it.")
    parts.append("The power axis does not begin at zero." if not close else "Phases are shaded as the run marked them.")
    if trace.rails_left_out:
        parts.append(f"{trace.rails_left_out} further rails are not drawn.")
    return " ".join(parts)


def _curves(rail: RailView, envelope: Envelope, colour: str, origin_s: float, several: bool) -> list[dict]:
    """Return band, of a long series, and line of one rail; both are broken at gaps. Of several sensors each is named."""
    t_s, low, mean, high = envelope.curve()
    t_s = t_s - origin_s
    name = f"{marked(rail.rail, 40)}{f', {marked(rail.url, 30)}' if several else ''} ({marked(rail.label, 12)})"
    cuts = _cuts(t_s, [(low - origin_s, high - origin_s) for low, high in rail.gaps])
    line = {
        "type": "scatter", "mode": "lines", "name": name, "x": _broken(t_s, cuts), "y": _broken(mean, cuts), "connectgaps": False,
        "line": {"color": colour, "width": 1.6}, "hovertemplate": "%{y:.4g} W at %{x:.6g} s",
    }  # fmt: skip
    if not envelope.width_s:
        if rail.kind == "average" and len(t_s) < 400:
            line["line"]["shape"] = "vh"
        if len(t_s) < 60:
            line |= {"mode": "lines+markers", "marker": {"size": 5, "color": colour}}
        return [line]
    band_t, band_w = [], []
    for first, last in zip([0, *cuts], [*cuts, len(t_s)], strict=True):
        # There and back is one closed outline; None ends it.
        band_t += [*_said_as(t_s[first:last]), *_said_as(t_s[first:last][::-1]), None]
        band_w += [*_said_as(high[first:last]), *_said_as(low[first:last][::-1]), None]
    band = {
        "type": "scatter", "mode": "lines", "name": f"{name}, lowest to highest", "x": band_t, "y": band_w, "fill": "toself",
        "fillcolor": f"{colour}/0.25", "line": {"color": colour, "width": 0}, "showlegend": False, "hoverinfo": "skip",
    }  # fmt: skip
    return [band, line]


def _cuts(t_s: np.ndarray, gaps: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return the positions in t_s before which a gap lies."""
    at = {int(np.searchsorted(t_s, end_s - 1e-12)) for _, end_s in gaps}
    return np.array(sorted(cut for cut in at if 0 < cut < len(t_s)), dtype=int)


def _broken(values: np.ndarray, cuts: np.ndarray) -> list:
    """Return values as JSON numbers, with None at the cuts."""
    said = _said_as(values)
    for cut in cuts[::-1]:
        said.insert(int(cut), None)
    return said


def _said_as(values: np.ndarray) -> list[float]:
    """Return values as JSON numbers of nine digits."""
    return [float(f"{value:.9g}") for value in values]


def _key(name: str, colour: str, symbol: str) -> dict:
    """Return a trace without points, for the legend."""
    return {"type": "scatter", "mode": "markers", "name": name, "x": [None], "y": [None], "hoverinfo": "skip",
            "marker": {"symbol": symbol, "size": 12, "color": colour}}  # fmt: skip


def _windows(
    found: list[Window], start_s: float, end_s: float, close: bool
) -> tuple[list[dict], list[dict], list[float], set[str]]:
    """Return shapes, names with their share of the picture, and the phases that are shaded.

    Phases are shaded over the whole height; windows of no phase (run, repeat, one's own) are strips above the picture. Close up,
    what fills the picture is left out.
    """
    shapes, annotations, shares, phases = [], [], [], set()
    span_s = max(end_s - start_s, 1e-12)
    wide = [window for window in found if window.end_s - window.start_s >= NARROW * span_s]
    for window in sorted(wide, key=lambda window: window.start_s - window.end_s)[:SHADES_MOST]:
        x0, x1 = max(window.start_s, start_s), min(window.end_s, end_s)
        share = (x1 - x0) / span_s
        if close and share > MOST_OF_IT:
            continue
        shape = {"type": "rect", "xref": "x", "yref": "paper", "x0": x0, "x1": x1, "line": {"width": 0}, "layer": "below"}
        if window.phase in PHASE_COLOUR:
            phases.add(window.phase)
            shapes.append({**shape, "y0": 0, "y1": 1, "fillcolor": f"{PHASE_COLOUR[window.phase]}/0.22",
                           "line": {"width": 0.5, "color": "@paper"}})
            rests = window.phase in ("idle", "signature") or window.name == window.phase
            said, y, anchor = window.phase if rests else _name(window), 0.995, "top"
        elif window.name != window.phase:
            shapes.append({**shape, "y0": 1.012, "y1": 1.035, "fillcolor": "@ink/0.45", "line": {"width": 1, "color": "@paper"}})
            said, y, anchor = _name(window), 1.035, "bottom"
        else:
            continue
        if share >= NAMED:
            annotations.append({
                "x": (x0 + x1) / 2, "y": y, "xref": "x", "yref": "paper", "text": said, "showarrow": False, "yanchor": anchor,
                "font": {"size": 11, "color": "@soft"},
            })  # fmt: skip
            shares.append(round(share, 4))
    return shapes, annotations, shares, phases


def _name(window: Window) -> str:
    numbered = window.number or window.name in ("repeat", "iteration")
    return marked(f"{plain(window.name, 24)} {window.number}" if numbered else window.name, 32)


def _gaps(rail: RailView, origin_s: float, start_s: float, end_s: float) -> list[dict]:
    """Return the gaps of a rail as shaded stretches with an outline, so wide at least that they are seen."""
    shapes, least_s = [], 0.002 * (end_s - start_s)
    for low_s, high_s in rail.gaps:
        x0, x1 = low_s - origin_s, high_s - origin_s
        if x1 < start_s or x0 > end_s:
            continue
        middle, half = (x0 + x1) / 2, max(x1 - x0, least_s) / 2
        shapes.append({"type": "rect", "xref": "x", "yref": "paper", "x0": middle - half, "x1": middle + half, "y0": 0, "y1": 1,
                       "fillcolor": "@vermillion/0.35", "line": {"width": 1, "color": "@vermillion", "dash": "dot"},
                       "layer": "above", "name": "gap"})  # fmt: skip
    return shapes


def _row(rail: RailView, inside: Numbers, gaps: int) -> tuple[str, ...]:
    said = plain(rail.rail, 60), plain(rail.label, 12)
    if not inside.values:
        return (*said, "0", "none", "none", "none", "none", number(gaps))
    watts = (f"{value:.4g} W" for value in (inside.low, inside.mean, inside.high))
    return (*said, number(inside.values), *watts, with_unit(inside.longest_s, "s"), number(gaps))
