"""What an experiment found: a table, comparisons with intervals, a page and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from joulegrad.experiment import PRICED, Experiment
from joulegrad.experiment_run import emulator_energy, gross_j
from joulegrad.screen import Screen
from measurements.paired import mean, paired
from measurements.pictures import PictureError, Point, draw_energy_accuracy

WITHIN = 0.005
"""A baseline's mean accuracy may lie so far below the best of the plain runs, its plateau."""


def table(experiment: Experiment, results: Mapping[str, list[dict]]) -> list[dict]:
    """Return a row per run: means over the seeds that succeeded."""
    rows = []
    for run in experiment.runs:
        good = [result for result in results[run.name] if "error" not in result]
        row = {"name": run.name, "method": run.method, "arithmetic": run.arithmetic, "seeds": len(good)}
        if good:
            row |= {
                "data": good[0]["data"], "test_images": good[0]["test_images"],
                "iterations_drawn": mean([one["iterations_drawn"] for one in good]).value,
                "iterations_executed": mean([one["iterations_executed"] for one in good]).value,
                "accuracy": mean([one["accuracy"] for one in good]).to_json(), "host_s": sum(one["host_s"] for one in good),
            }  # fmt: skip
            if run.arithmetic == PRICED:
                row["simulated_gross_j"] = mean([gross_j(one) for one in good]).to_json()
                row["time_s"] = mean([one["time_s"] for one in good]).value
            watched = [energy for energy in map(emulator_energy, good) if energy]
            if watched:
                row["energy_of_the_emulator"] = _watched(watched)
        rows.append(row)
    return rows


def _watched(windows: list[Mapping]) -> dict:
    """Return what the seeds' training took of the machine that trained: means, the largest U, every verdict on gross joules."""
    sums = {kind: [one[kind] for one in windows if one[kind]] for kind in ("gross", "net")}
    u95s = {kind: [one["u95"] for one in found] for kind, found in sums.items()}
    return {
        "sensor": windows[0]["sensor"]["url"], "label": windows[0]["label"], "seeds": len(windows),
        "time_s": mean([one["window"]["time_s"] for one in windows]).value,
        **{f"{kind}_j": mean([one["value"] for one in found]).value if found else None for kind, found in sums.items()},
        **{f"{kind}_u95_j": None if None in found or not found else max(found) for kind, found in u95s.items()},
        "verdicts": sorted({one["verdict"] for one in sums["gross"]}),
    }


def compared(experiment: Experiment, results: Mapping[str, list[dict]]) -> dict:
    """Return the baseline, and every comparison: accuracies and joules, ours less the other's, seed by seed."""
    comparisons, priced = [], {run.name for run in experiment.runs if run.arithmetic == PRICED}
    for ours, other in experiment.comparisons:
        pairs = [
            pair for pair in zip(results[ours], results[other], strict=True) if not any("error" in one for one in pair)
        ]
        if not pairs:
            continue
        gain = paired([one["accuracy"] for one, _ in pairs], [one["accuracy"] for _, one in pairs])
        comparison = {"ours": ours, "other": other, "accuracy_gain": gain.to_json(), "verdict": gain.verdict}
        if priced.issuperset((ours, other)):
            comparison["relative_joules"] = mean([gross_j(one) / gross_j(two) - 1 for one, two in pairs]).to_json()
        comparisons.append(comparison)
    return {"baseline": _baseline(experiment, results), "comparisons": comparisons}


def _baseline(experiment: Experiment, results: Mapping[str, list[dict]]) -> str | None:
    """Return the cheapest of the plain runs whose mean accuracy is within half a point of their best."""
    known = {
        name: [one for one in results[name]] for name in experiment.baseline if all("error" not in one for one in results[name])
    }
    if not known:
        return None
    accuracy = {name: mean([one["accuracy"] for one in row]).value for name, row in known.items()}
    near = [name for name in known if accuracy[name] >= max(accuracy.values()) - WITHIN]
    return min(near, key=lambda name: mean([gross_j(one) for one in known[name]]).value)


def page(found: Mapping) -> str:
    """Return the experiment as Markdown."""
    experiment, baseline_j = found["experiment"], _baseline_j(found)
    lines = [
        f"# {experiment['name']} on {experiment['recipe']}", "", experiment["says"] + ".", "",
        f"Trained in PyTorch ({found['device']}); int8 is a board's arithmetic, bit for bit; {experiment['seeds']} seeds; joules "
        f"are *simulated*, those that configuration {experiment['config']} would take, from predicted counters and cycles. "
        f"Commit {found['commit']}; {sum(row.get('host_s', 0) for row in found['rows']):.0f} s of all runs together.", "",
        "| run | method | drawn | executed | accuracy, % | gross J, simulated | of the baseline's |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in found["rows"]:
        lines.append(_row(row, baseline_j))
    data = next((row for row in found["rows"] if row["seeds"]), None)
    if data:
        lines += ["", f"Accuracy on {data['test_images']} held-out images of {data['data']}; +- is a 95 % interval over seeds."]
    if found["baseline"]:
        lines += ["", f"Baseline: {found['baseline']}, the cheapest of {', '.join(experiment['baseline'])} within half a point "
                  "of the best of them."]  # fmt: skip
    if found["comparisons"]:
        lines += ["", "| ours | other | gain, points (95 %, paired) | joules, ours over other | |", "|---|---|---|---|---|"]
    for one in found["comparisons"]:
        gain, joules = said(one["accuracy_gain"], 100), ""
        if "relative_joules" in one:
            joules = f"{100 * one['relative_joules']['mean']:+.1f} %"
        lines.append(f"| {one['ours']} | {one['other']} | {gain} | {joules} | {one['verdict']} |")
    lines += _emulator([row for row in found["rows"] if "energy_of_the_emulator" in row])
    lines += [f"\nFailed: {sentence}" for sentence in found["errors"]]
    return "\n".join([*lines, ""])


def _emulator(rows: list[Mapping]) -> list[str]:
    """Return the table of what training took of the machine that trained, apart from all other joules."""
    if not rows:
        return []
    energies = [row["energy_of_the_emulator"] for row in rows]
    sensors = ", ".join(sorted({f"{one['label']} by {one['sensor']}" for one in energies}))
    lines = [
        "", "## Energy of the emulator", "",
        f"What PyTorch took of this machine, {sensors}; no accelerator's energy, and not to be compared with the joules above. "
        "Only mini-batches that are dropped and blocks that are skipped can save here. Means over seeds; U (95 %) is the largest "
        "of a seed.", "",
        "| run | seeds | s | gross J | above idle J | verdict |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row, one in zip(rows, energies, strict=True):
        joules = [_with_u(one[f"{kind}_j"], one[f"{kind}_u95_j"]) for kind in ("gross", "net")]
        cells = (row["name"], str(one["seeds"]), f"{one['time_s']:.4g}", *joules, "; ".join(one["verdicts"]))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _with_u(value_j: float | None, u95_j: float | None) -> str:
    if value_j is None:
        return "-"
    return f"{value_j:.4g} (no U)" if u95_j is None else f"{value_j:.4g} +- {u95_j:.2g}"


def said(value: Mapping, scale: float) -> str:
    """Return a mean with its interval."""
    if value["half_width95"] is None:
        return f"{scale * value['mean']:.2f} (one seed)"
    return f"{scale * value['mean']:.2f} +- {scale * value['half_width95']:.2f}"


def draw(found: Mapping, path: Path, screen: Screen) -> None:
    """Draw energy against accuracy; without matplotlib the table stands and the message says what is missing."""
    points = [
        Point(row["name"], row["simulated_gross_j"]["mean"], row["accuracy"]["mean"], row["accuracy"]["half_width95"] or 0.0)
        for row in found["rows"] if "simulated_gross_j" in row
    ]  # fmt: skip
    if not points:
        return
    try:
        draw_energy_accuracy(f"{found['experiment']['name']} on {found['experiment']['recipe']}", points, path)
    except PictureError as error:
        screen.say(f"no picture: {error}")


def _baseline_j(found: Mapping) -> float | None:
    row = next((row for row in found["rows"] if row["name"] == found["baseline"]), None)
    return row["simulated_gross_j"]["mean"] if row else None


def _row(row: Mapping, baseline_j: float | None) -> str:
    if not row["seeds"]:
        return f"| {row['name']} | {_trained(row)} | | | failed | | |"
    joules, share, said_j = row.get("simulated_gross_j"), "", "none"
    if joules:
        said_j = f"{joules['mean']:.4g}"
        share = "" if baseline_j is None else f"{100 * joules['mean'] / baseline_j:.1f} %"
    cells = (
        row["name"], _trained(row), f"{row['iterations_drawn']:.0f}", f"{row['iterations_executed']:.0f}",
        said(row["accuracy"], 100), said_j, share,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _trained(row: Mapping) -> str:
    return row["method"] if row["arithmetic"] == PRICED else f"{row['method']}, {row['arithmetic']}"
