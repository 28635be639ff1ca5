"""What an experiment found: a table, comparisons with intervals, a page and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from joulegrad.experiment import PRICED, Experiment
from joulegrad.experiment_run import emulator_energy, gross_j
from joulegrad.screen import Screen
from measurements.paired import mean, paired
from measurements.pictures import PictureError, Point, draw_energy_accuracy
from measurements.quantities import LABELS

SIMULATED, PICTURE = LABELS[0], "energy-accuracy.png"
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
                "accuracy": mean([one["accuracy"] for one in good], 1 / good[0]["test_images"]).to_json(),
                "host_s": sum(one["host_s"] for one in good),
            }  # fmt: skip
            if run.arithmetic == PRICED:
                row["simulated_gross_j"] = mean([gross_j(one) for one in good]).to_json()
                row["time_s"] = mean([one["time_s"] for one in good]).value
                sensed = _sensed(good)
                if sensed:
                    row["sensed"] = sensed
            watched = [energy for energy in map(emulator_energy, good) if energy]
            if watched:
                row["energy_of_the_emulator"] = {
                    "sensor": watched[0]["sensor"]["url"], "label": watched[0]["label"],
                    "time_s": mean([one["window"]["time_s"] for one in watched]).value, **_joules(watched),
                }  # fmt: skip
        rows.append(row)
    return rows


def _sensed(results: list[Mapping]) -> dict[str, dict]:
    """Return what sensors say of the boards that trained, by label; nothing where none watched all seeds."""
    return {
        label: {
            "sensor": ", ".join(sorted({one["url"] for result in results for one in result["sensors"] if one["label"] == label})),
            "time_s": mean([one["time_s"] for one in results]).value,
            **_joules([one["run_energy_j"][label] for one in results]),
        }
        for label in results[0]["run_energy_j"] if label != SIMULATED and all(label in one["run_energy_j"] for one in results)
    }  # fmt: skip


def _joules(found: list[Mapping]) -> dict:
    """Return the gross and net joules of several seeds: means, the largest U, every verdict on gross joules."""
    sums = {kind: [one[kind] for one in found if one[kind]] for kind in ("gross", "net")}
    u95s = {kind: [one["u95"] for one in values] for kind, values in sums.items()}
    return {
        "seeds": len(found),
        **{f"{kind}_j": mean([one["value"] for one in values]).value if values else None for kind, values in sums.items()},
        **{f"{kind}_u95_j": None if None in values or not values else max(values) for kind, values in u95s.items()},
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
        image = 1 / pairs[0][0]["test_images"]
        gain = paired([one["accuracy"] for one, _ in pairs], [one["accuracy"] for _, one in pairs], image)
        comparison = {"ours": ours, "other": other, "accuracy_gain": gain.to_json(), "verdict": gain.verdict}
        if priced.issuperset((ours, other)):
            comparison["relative_joules"] = mean([gross_j(one) / gross_j(two) - 1 for one, two in pairs]).to_json()
            comparison["relative_sensed_joules"] = _relative_sensed(pairs)
        comparisons.append(comparison)
    return {"baseline": _baseline(experiment, results), "comparisons": comparisons}


def _relative_sensed(pairs: list[tuple[Mapping, Mapping]]) -> dict[str, dict]:
    """Return by label how the gross joules that sensors read differ, ours over the other's less 1; labels that all pairs have."""
    read = [[{label: one["gross"]["value"] for label, one in result["run_energy_j"].items() if one["gross"]} for result in pair]
            for pair in pairs]  # fmt: skip
    labels = [label for label in read[0][0] if label != SIMULATED and all(label in one for pair in read for one in pair)]
    return {label: mean([ours[label] / other[label] - 1 for ours, other in read]).to_json() for label in labels}


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
    host_s = sum(row.get("host_s", 0) for row in found["rows"])
    lines = [
        f"# {experiment['name']} on {experiment['recipe']}", "", experiment["says"] + ".", "",
        f"{_where(found)}; {experiment['seeds']} seeds. Commit {found['commit']}; {host_s:.0f} s of all runs together.", "",
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
            joules = "; ".join([f"{100 * one['relative_joules']['mean']:+.1f} %"] + [
                f"{said(relative, 100)} % {label}" for label, relative in one["relative_sensed_joules"].items()
            ])  # fmt: skip
        lines.append(f"| {one['ours']} | {one['other']} | {gain} | {joules} | {one['verdict']} |")
    lines += _boards([row for row in found["rows"] if "sensed" in row])
    lines += _emulator([row for row in found["rows"] if "energy_of_the_emulator" in row])
    lines += _failed(found["errors"])
    return "\n".join([*lines, ""])


def _failed(errors: Sequence[str]) -> list[str]:
    """Return a line for each reason, with the runs that it ended: a data set that is missing ends all of them."""
    runs: dict[str, list[str]] = {}
    for sentence in errors:
        run, _, reason = sentence.partition(": ")
        runs.setdefault(reason, []).append(run)
    return [f"\nFailed: {'; '.join(names)}: {reason}" for reason, names in runs.items()]


def _where(found: Mapping) -> str:
    """Return the sentence on what trained, and what the simulated joules are."""
    config = found["experiment"]["config"]
    if found["boards"]:
        return (
            f"Trained on {', '.join(found['boards'])}, all of a seed on one; float32 in PyTorch ({found['device']}); joules are "
            f"*simulated* where nothing else is said, from the counters of configuration {config}"
        )
    return (
        f"Trained in PyTorch ({found['device']}); int8 is a board's arithmetic, bit for bit; joules are *simulated*, those that "
        f"configuration {config} would take, from predicted counters and cycles"
    )


def _boards(rows: list[Mapping]) -> list[str]:
    """Return the tables of what sensors read of the boards, one for each label."""
    lines = []
    for label in sorted({label for row in rows for label in row["sensed"]}):
        there = [(row["name"], row["sensed"][label]) for row in rows if label in row["sensed"]]
        sensors = ", ".join(sorted({one["sensor"] for _, one in there}))
        lines += [
            "", f"## Energy of the boards, {label}", "",
            f"By {sensors}, of runs that were repeated for it. Means over seeds; U (95 %) is the largest of a seed.", "",
            *_energies(there),
        ]  # fmt: skip
    return lines


def _emulator(rows: list[Mapping]) -> list[str]:
    """Return the table of what training took of the machine that trained, apart from all other joules."""
    if not rows:
        return []
    energies = [row["energy_of_the_emulator"] for row in rows]
    sensors = ", ".join(sorted({f"{one['label']} by {one['sensor']}" for one in energies}))
    return [
        "", "## Energy of the emulator", "",
        f"What PyTorch took of this machine, {sensors}; no accelerator's energy, and not to be compared with the joules above. "
        "Only mini-batches that are dropped and blocks that are skipped can save here. Means over seeds; U (95 %) is the largest "
        "of a seed.", "",
        *_energies([(row["name"], one) for row, one in zip(rows, energies, strict=True)]),
    ]  # fmt: skip


def _energies(rows: list[tuple[str, Mapping]]) -> list[str]:
    lines = ["| run | seeds | s | gross J | above idle J | verdict |", "|---|---|---|---|---|---|"]
    for name, one in rows:
        joules = [_with_u(one[f"{kind}_j"], one[f"{kind}_u95_j"]) for kind in ("gross", "net")]
        cells = (name, str(one["seeds"]), f"{one['time_s']:.4g}", *joules, "; ".join(one["verdicts"]))
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


def draw(found: Mapping, folder: Path, screen: Screen) -> None:
    """Draw energy against accuracy, a picture for each label; without matplotlib the table stands, and a message says so."""
    title, joules = f"{found['experiment']['name']} on {found['experiment']['recipe']}", {}
    for row in found["rows"]:
        if "simulated_gross_j" in row:
            joules.setdefault(SIMULATED, []).append((row, row["simulated_gross_j"]["mean"]))
        for label, one in row.get("sensed", {}).items():
            joules.setdefault(label, []).append((row, one["gross_j"]))
    for label, rows in joules.items():
        points = [
            Point(row["name"], energy_j, row["accuracy"]["mean"], row["accuracy"]["half_width95"] or 0.0)
            for row, energy_j in rows if energy_j is not None
        ]  # fmt: skip
        picture = PICTURE if label == SIMULATED else f"energy-accuracy-{label}.png"
        try:
            if points:
                draw_energy_accuracy(title, label, points, folder / picture)
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
