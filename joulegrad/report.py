"""`joulegrad report`: run folders to one HTML page."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from host.run_folder import write_atomically
from joulegrad.screen import Screen
from measurements import report_tables as tables
from measurements.report_energy import budget_figure, energy_figures
from measurements.report_page import is_page, page
from measurements.report_parts import Figure, ReportError, Section, Table, plain
from measurements.report_power import power_figures
from measurements.report_run import ReportedRun, find_runs, load_record, load_run, reading
from measurements.report_runs import accuracy_figure, overview, quantities_table, truth_figures

PAGE = "report.html"
DETAILED_MOST = 12
LABELS_SAID = ("Every energy has one of three labels: simulated (counters times an energy model), emulated (virtual rails of the "
               "simulated board, read through the real sensor path; their level is an assumption), measured (a physical sensor). "
               "Charts: drag to look closer, double-click for all of it.")  # fmt: skip


def run_report(paths: Sequence[Path], out: Path | None, screen: Screen) -> dict:
    """Write a page on the runs and return its JSON data.

    Args:
        paths: run folders, or folders that hold runs; of the latter only figures and tables over runs are drawn.
        out: the page; by default report.html in the run folder, or for several runs in the current folder.

    Raises:
        RunFolderError, TraceError, ReportError: each with one sentence.
        ImportError: plotly is not installed.
    """
    named, held = find_runs(list(paths))
    out = _target(out, named, held)
    if importlib.util.find_spec("plotly") is None:
        raise ModuleNotFoundError("plotly", name="plotly")
    detailed = [load_run(path) for path in named[:DETAILED_MOST]]
    runs = detailed + [load_record(path) for path in (*named[DETAILED_MOST:], *held)]
    sections = []
    if len(runs) > 1 or not detailed:
        screen.say(f"{len(runs)} runs")
    sections.append(_over_runs(runs, len(named) - len(detailed), len(held)))
    missing = list(sections[0].missing)
    for index, run in enumerate(detailed):
        screen.say(f"run {run.name}")
        sections.append(_one_run(run, f"run-{index}"))
        missing += [_of(run, runs, text) for text in run.missing]
    title = f"joulegrad: {runs[0].name}" if len(runs) == 1 else f"joulegrad: {len(runs)} runs"
    text = page(title, LABELS_SAID, sections)
    _write(out, text)
    figures = [part.key for section in sections for part in section.parts if isinstance(part, Figure)]
    return {"schema": 1, "page": str(out), "bytes": len(text.encode()), "runs": [str(run.path) for run in runs],
            "figures": figures, "missing": list(dict.fromkeys(missing))}  # fmt: skip


def _of(run: ReportedRun, runs: list[ReportedRun], text: str) -> str:
    """Return a sentence on a run, with its name where there are others."""
    return f"{run.name}: {text}" if len(runs) > 1 else text


def _target(out: Path | None, named: list[Path], held: list[Path]) -> Path:
    """Return where the page goes. Raises ReportError where it would replace what is no page of this command."""
    if out is None:
        out = named[0] / PAGE if len(named) == 1 and not held else Path(PAGE)
    try:
        if out.is_dir():
            raise ReportError(f"{out} is a folder: name a file for the page, such as {out / PAGE}")
        if out.exists() and not is_page(out):
            raise ReportError(f"{out} is there already and no page of joulegrad report: it is not replaced, name another file")
        if not out.parent.is_dir():
            raise ReportError(f"the page {out} cannot be written: there is no folder {out.parent}")
    except OSError as error:
        raise ReportError(f"{out} cannot be used for the page: {error.strerror or error}") from None
    return out


def _write(out: Path, text: str) -> None:
    try:
        write_atomically(out, text)
    except OSError as error:
        raise ReportError(f"the page {out} cannot be written: {error.strerror or error}") from None


def _over_runs(runs: list[ReportedRun], not_detailed: int, held: int) -> Section:
    remarks, parts = [], []
    if not_detailed:
        remarks.append(f"Sections of their own are drawn for the first {DETAILED_MOST} runs.")
    if held:
        remarks.append(f"{held} runs lie in folders of runs: they stand in the figures and tables over runs; name a run's "
                       "own folder to see its power.")  # fmt: skip
    for run in runs:
        with reading(run):
            overview([run])
    figures, missing = truth_figures(runs)
    accuracy = accuracy_figure(runs)
    parts += [overview(runs), *([accuracy] if accuracy else []), *figures]
    counted = any(run.counted for run in runs)
    if accuracy is None and counted:
        missing.append("No run has both a test accuracy and an energy.")
    if not figures and counted:
        missing.append("No run has both a simulated and a sensed energy.")
    incomplete = [run for run in runs if not run.result]
    missing += [_of(run, runs, run.missing[0]) for run in incomplete[:20] if run.missing]
    return Section("runs", "Energy of the runs" if len(runs) > 1 else "Energy of the run", tuple(remarks), tuple(parts), (),
                   tuple(missing))  # fmt: skip


def _one_run(run: ReportedRun, key: str) -> Section:
    with reading(run):
        parts: list[Figure | Table | None] = [quantities_table(run)]
        if run.trace is not None:
            parts += power_figures(run.trace, key)
            if not run.trace.rows:
                run.missing.append("The trace holds no samples: there is no power to draw.")
            elif run.trace.close_s is None:
                run.missing.append("The trace has no windows of iterations: nothing is shown close up.")
        parts += energy_figures(run, key)
        parts += _budgets(run, key)
        parts += _trust(run)
        parts += [tables.replay_table(run), tables.provenance_table(run)]
        warnings = tables.warnings_of(run)
    what = run.record.get("benchmark", "run")
    return Section(key, f"Run {run.name}", (f"A run of {plain(what, 40)} in {plain(run.path, 200)}.",),
                   tuple(part for part in parts if part is not None), warnings, tuple(run.missing))  # fmt: skip


def _budgets(run: ReportedRun, key: str) -> list[Figure | None]:
    if run.measured is not None:
        return [budget_figure(one.budget_gross, one.budget_net, one.label, "the whole run", f"{key}-{index}")
                for index, one in enumerate(run.joules)]  # fmt: skip
    figures = []
    for index, (one, pooled) in enumerate(zip(run.joules, run.pooled, strict=True)):
        of = f"the mean of {pooled.n} repeats" if pooled else f"window {one.window.name!r} {one.window.number}"
        budgets = (pooled.budget_gross, pooled.budget_net) if pooled else (one.budget_gross, one.budget_net)
        figures.append(budget_figure(*budgets, one.label, of, f"{key}-{index}"))
    return figures


def _trust(run: ReportedRun) -> list[Table | None]:
    """Return the tables without which a number cannot be trusted."""
    found: list[Table | None] = [tables.window_table(run)]
    if run.every:
        found += [tables.coverage_table(run.every), tables.idle_table(run.every)]
    if run.trace is not None:
        found += [tables.loss_table(run.trace), tables.sensor_table(run.trace, run)]
    return found
