"""Figures over runs: energy against accuracy, and simulated against what stood for truth. Labels are never merged."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from measurements.comparison import LEAST_WORKLOADS, SAID, compare
from measurements.energy_model import TABLE, load_table
from measurements.error_figures import error_figures
from measurements.fit import FitError
from measurements.observations import TRUTHS, ComparisonError, load_run
from measurements.quantities import LABELS
from measurements.report_energy import label_marker
from measurements.report_parts import SERIES, Figure, Table, View, axis, marked, number, plain, scale_of, with_u, with_unit
from measurements.report_run import ReportedRun, quantity

LOG_FROM = 20.0
"""Energies that span more than this ratio are drawn on logarithmic axes."""

ROWS_MOST = 200
FOLDED_FROM = 40


def accuracy_figure(runs: Sequence[ReportedRun]) -> Figure | None:
    """Return energy against test accuracy, one point per run and label; None where no run has both."""
    runs = [run for run in runs if _accuracy(run) is not None]
    views, rows = [], []
    for each, per in ((False, "run"), (True, "executed iteration")):
        for kind in ("gross", "net"):
            found = {label: [(run, quantity(run, label, kind, each)) for run in runs] for label in LABELS}
            found = {label: [(run, q) for run, q in pairs if q is not None] for label, pairs in found.items()}
            scale, prefix = scale_of([q["value"] for pairs in found.values() for _, q in pairs])
            data = [_accuracy_points(label, pairs, scale, prefix) for label, pairs in found.items() if pairs]
            if not data:
                continue
            layout = {"xaxis": axis(f"energy per {per}, {kind} ({prefix}J)"), "yaxis": axis("test accuracy (%)")}
            views.append(View(f"{kind}, per {per}", data, layout))
            rows += [(run.name, label, kind, f"per {per}", with_u(q["value"], q["u95"]), f"{100 * _accuracy(run):.2f} %")
                     for label, pairs in found.items() for run, q in pairs]  # fmt: skip
    if not views:
        return None
    said = ("One point per run and label, with U (95 %) where it can be stated. Runs whose models of the processor's time or "
            "definitions of idle differ are not comparable.")  # fmt: skip
    table = Table("The same in numbers", ("run", "label", "energy", "per", "value", "test accuracy"), tuple(rows[:ROWS_MOST]))
    return Figure("accuracy", "Energy against accuracy", said, tuple(views), 400, table)


def _accuracy(run: ReportedRun) -> float | None:
    value = run.result.get("accuracy")
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1 else None


def _accuracy_points(label: str, pairs: list, scale: float, prefix: str) -> dict:
    return {
        "type": "scatter", "mode": "markers", "name": label, "x": [q["value"] / scale for _, q in pairs],
        "y": [100 * _accuracy(run) for run, _ in pairs], "text": [marked(run.name) for run, _ in pairs],
        "error_x": _bars([q for _, q in pairs], scale, label_marker(label)["color"]),
        "marker": label_marker(label), "hovertemplate": f"%{{text}}<br>%{{x:.4g}} {prefix}J, %{{y:.2f}} %",
    }  # fmt: skip


def truth_figures(runs: Sequence[ReportedRun]) -> tuple[list[Figure | Table], list[str]]:
    """Return simulated against truth, for each label that stood for it, and sentences on what could not be shown."""
    parts: list[Figure | Table] = []
    missing: list[str] = []
    for truth in TRUTHS:
        pairs = [run for run in runs if run.counted and quantity(run, truth, "gross")]
        if not pairs:
            continue
        views, figures = [], []
        fitted, why = _fitted(pairs) if len(pairs) >= LEAST_WORKLOADS else (None, "")
        if why:
            missing.append(f"No fitted model against {truth} energies: {why}.")
        for kind in ("net", "gross"):
            models = {"the runs' own energy table": {run: quantity(run, "simulated", kind) for run in pairs}}
            if fitted is not None:
                models = {"model fitted to the other workloads": {run: fitted[run][kind] for run in pairs}} | models
            for model, predicted in models.items():
                points = {run: (quantity(run, truth, kind), predicted[run]) for run in pairs}
                views.append(_scatter(f"{kind}, {model}", kind, truth, points))
                figures.append(_figures_row(model, kind, points.values()))
        views = [view for view in views if view is not None]
        if not views:
            missing.append(f"No {truth} energy has an uncertainty: simulated energies are not set against them.")
            continue
        scope = plain(quantity(pairs[0], truth, "gross")["scope"], 160)
        said = (f"Truth is the {truth} energy of {scope}. {SAID[truth]} Bars are U (95 %); a simulated energy without one has no "
                "bar. On the line both are equal.")  # fmt: skip
        columns = ("model", "energy", "runs", "MAPE", "bias", "worst", "R²", "Kendall tau", "median |error| / U")
        table = Table(f"Errors of simulated against {truth} energies", columns, tuple(row for row in figures if row),
                      "Relative errors are of runs whose energy exceeds 5 U.")  # fmt: skip
        parts.append(Figure(f"truth-{truth}", f"Simulated against {truth}", said, tuple(views), 460, table))
    return parts, missing


def _fitted(runs: list[ReportedRun]) -> tuple[dict | None, str]:
    """Return run to predicted quantities by a model fitted without that run's workload, or why there is none."""
    try:
        found = compare([load_run(run.path) for run in runs], load_table(TABLE)).to_json()
    except (ComparisonError, FitError) as error:
        return None, plain(error)
    except ImportError as error:
        return None, f"it needs {plain(error.name or 'scipy', 20)}, which is not installed (pip install 'joulegrad[compare]')"
    return {run: one["simulated"] for run, one in zip(runs, found["each_run"], strict=True)}, ""


def _scatter(name: str, kind: str, truth: str, points: dict[ReportedRun, tuple]) -> View | None:
    """Return simulated over truth as points with bars, one series per family of workloads, and the identity line."""
    known = {run: (t, s) for run, (t, s) in points.items() if t and s and t["u95"] is not None}
    if not known:
        return None
    values = [q["value"] for pair in known.values() for q in pair]
    scale, prefix = scale_of(values)
    log = min(values) > 0 and max(values) > LOG_FROM * min(values)
    low, high = (min(values) / 1.15, max(values) * 1.15) if log else (min([0.0, *values]), 1.05 * max([0.0, *values]))
    families = list(dict.fromkeys(_family(run) for run in known))
    data = [{
        "type": "scatter", "mode": "lines", "name": f"simulated = {truth}", "x": [low / scale, high / scale],
        "y": [low / scale, high / scale],
        "line": {"color": "@soft", "width": 1.2, "dash": "dash"}, "hoverinfo": "skip",
    }]  # fmt: skip
    for index, family in enumerate(families):
        of = {run: pair for run, pair in known.items() if _family(run) == family}
        colour = SERIES[index % len(SERIES)]
        data.append({
            "type": "scatter", "mode": "markers", "name": f"{marked(family, 24)} ({truth})",
            "x": [t["value"] / scale for t, _ in of.values()], "y": [s["value"] / scale for _, s in of.values()],
            "error_x": _bars([t for t, _ in of.values()], scale, colour),
            "error_y": _bars([s for _, s in of.values()], scale, colour),
            "marker": {**label_marker(truth), "color": colour, "size": 8}, "text": [marked(run.name) for run in of],
            "hovertemplate": f"%{{text}}<br>{truth} %{{x:.4g}} {prefix}J<br>simulated %{{y:.4g}} {prefix}J",
        })  # fmt: skip
    kind_of = {"type": "log"} if log else {}
    layout = {"xaxis": axis(f"{truth} energy of the run, {kind} ({prefix}J)", **kind_of),
              "yaxis": axis(f"simulated energy, {kind} ({prefix}J)", **kind_of)}  # fmt: skip
    return View(name, data, layout)


def _family(run: ReportedRun) -> str:
    return plain(run.record.get("family") or run.record.get("benchmark") or "run", 24)


def _bars(quantities: list[dict], scale: float, colour: str) -> dict:
    return {
        "type": "data",
        "array": [None if q["u95"] is None else q["u95"] / scale for q in quantities],
        "color": colour,
        "thickness": 1.2,
        "width": 3,
    }


def _figures_row(name: str, kind: str, pairs) -> tuple[str, ...] | None:
    known = [(t, s) for t, s in pairs if t and s and t["u95"]]
    if not known:
        return None
    found = error_figures(*(np.array(part) for part in (
        [s["value"] for _, s in known], [t["value"] for t, _ in known], [t["u95"] for t, _ in known])))  # fmt: skip
    percents = ["none" if value is None else f"{100 * value:+.2f} %" if signed else f"{100 * value:.2f} %"
                for value, signed in ((found.mape, False), (found.bias, True), (found.worst, False))]  # fmt: skip
    return (name, kind, f"{found.resolved} of {found.runs}", *percents, number(found.r2), number(found.kendall_tau, 3),
            number(found.over_u, 3))  # fmt: skip


def overview(runs: Sequence[ReportedRun]) -> Table:
    """Return one row per run and label: energies with U, verdict, accuracy."""
    rows = []
    for run in runs[:ROWS_MOST]:
        accuracy = _accuracy(run)
        first = (run.name, _what(run), plain(run.record.get("status", "none"), 12))
        last = "none" if accuracy is None else f"{100 * accuracy:.2f} %"
        labels = [label for label in LABELS if quantity(run, label, "gross")]
        for label in labels or ["none"]:
            gross, net = (quantity(run, label, kind) if labels else None for kind in ("gross", "net"))
            each = quantity(run, label, "net", each=True) if labels else None
            verdict = (net or gross or {"verdict": "none"})["verdict"]
            rows.append((*first, label, _q(gross), _q(net), _q(each), plain(verdict.partition(":")[0], 24), last))
    columns = ("run", "what", "status", "label", "gross", "above idle (net)", "per iteration, net", "verdict", "test accuracy")
    note = "Why a verdict is invalid stands in the results of the run." if any("invalid" in row for row in rows) else ""
    if len(runs) > ROWS_MOST:
        note += f" {len(runs) - ROWS_MOST} further runs are in the figures only."
    return Table("Energy of each run, with U (95 %)", columns, tuple(rows), note.strip(), len(rows) > FOLDED_FROM)


def _what(run: ReportedRun) -> str:
    record = run.record
    config = record.get("config")
    named = config.get("name", "") if isinstance(config, dict) else ""
    return plain(" ".join(str(part) for part in (record.get("benchmark", ""), record.get("board", ""), named) if part), 60)


def _q(found: dict | None) -> str:
    return "none" if found is None else with_u(found["value"], found["u95"])


def quantities_table(run: ReportedRun) -> Table:
    """Return all of a run's quantities with U, verdict and scope."""
    rows = []
    for label in LABELS:
        for each, per in ((False, "run"), (True, "executed iteration")):
            for kind in ("gross", "net"):
                found = quantity(run, label, kind, each)
                if found is None:
                    continue
                relative = f"{100 * found['u95'] / abs(found['value']):.2g} %" if found["u95"] and found["value"] else "none"
                bound = with_unit(found["value"] + found["u95"], "J") if found["verdict"] == "not resolved" else ""
                verdict = plain(found["verdict"], 240) + (f" (below {bound})" if bound else "")
                rows.append((label, kind, f"per {per}", with_unit(found["value"], "J", 5), with_unit(found["u95"], "J", 3),
                             relative, verdict, plain(found["scope"], 200)))  # fmt: skip
    columns = ("label", "energy", "per", "value", "U (95 %)", "U / value", "verdict", "scope")
    time_s = run.result.get("time_s")
    note = ""
    if isinstance(time_s, (int, float)) and math.isfinite(time_s):
        executed, drawn = (number(run.result.get(f"iterations_{name}")) for name in ("executed", "drawn"))
        clock = " on the board's clock" if run.counted else ""
        note = f"{executed} of {drawn} iterations executed, {with_unit(time_s, 's')}{clock}. Net is above idle."
    return Table("Results", columns, tuple(rows), note)
