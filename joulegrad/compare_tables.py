"""Sweeps and comparisons for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from joulegrad.screen import Screen, table

if TYPE_CHECKING:
    from rich.table import Table


def show_sweep(result: dict, screen: Screen) -> None:
    """Print the power of every workload, mean of its runs, with the label of what read it."""
    labels = [label for label in ("emulated", "measured") if all(label in run["run_energy_j"] for run in result["runs"])]
    for label in labels:
        made = table(f"{result['workloads']} workloads, mean of {result['repeats']} runs, {label}",
                     ["workload", "family", "verdict of net"], ["gross W", "net W", "U of net W"])  # fmt: skip
        for name in dict.fromkeys(run["workload"] for run in result["runs"]):
            runs = [run for run in result["runs"] if run["workload"] == name]
            seconds = sum(run["time_s"] for run in runs)
            energies = [run["run_energy_j"][label] for run in runs]
            gross, net = (sum(one[kind]["value"] for one in energies) / seconds for kind in ("gross", "net"))
            known = all(one["net"]["u95"] is not None for one in energies)
            u_w = f"{sum(one['net']['u95'] for one in energies) / seconds:.4f}" if known else "none"
            verdicts = ", ".join(dict.fromkeys(one["net"]["verdict"] for one in energies))
            made.add_row(name, runs[0]["family"], verdicts, f"{gross:.4f}", f"{net:.4f}", u_w)
        screen.out.print(made)
    if result["control"]:
        screen.out.print(f"  a control: power was drawn for the {result['control']}", markup=False)
    screen.out.print(f"  run folders  {result['run_dir']}", markup=False)


def show_comparison(result: dict, screen: Screen) -> None:
    """Print what stood for truth, the coefficients, the error figures of every model, and the workloads one by one."""
    out, truth = screen.out, result["truth"]
    families = ", ".join(f"{name} {count}" for name, count in result["families"].items())
    out.print(f"simulated against {truth}: {result['runs']} runs of {result['workloads']} workloads ({families})", markup=False)
    out.print(f"  truth     {truth}, {result['scope']}", markup=False)
    out.print(f"  idle      {result['idle_definition']}", markup=False)
    out.print(f"  board     {result['board']} ({result['config']})", markup=False)
    if result["control"]:
        out.print(f"  a control: power was drawn for the {result['control']}", markup=False)
    out.print(_coefficients(result))
    condition = result["condition_number"]
    static = result["static_w"]
    out.print(f"  static            {static['value']:.4f} W +- {static['u95']:.4f} W (95 %), mean of the idle windows")
    out.print(f"  condition number  {'infinite: columns depend on each other' if condition is None else f'{condition:.1f}'}")
    out.print(f"  not explained by U  {100 * result['unexplained_scatter']:.2f} % of each energy")
    for kind, said in (("net", "net energy, above idle"), ("gross", "gross energy")):
        out.print(_figures(f"{said}: errors on workloads left out, all repeats together, in %", result["figures"][kind]))
    out.print(
        f"  Relative errors are of {result['relative_errors_of']}, so many of all runs; R2 and Kendall's tau are of all, no per "
        "cents. err/U is the median |error| over U, in U the per cent of runs whose error U covers.", markup=False,
    )  # fmt: skip
    out.print(_workloads(result))
    relative = result["predicted_relative_u95"]
    said = ", ".join(f"{_said(relative[kind], 100, '.2g')} % {kind}" for kind in ("net", "gross"))
    out.print(f"  U of a predicted energy: {said}")
    if result["energy_table"]:
        out.print(f"  energy table  {result['energy_table']}", markup=False)
    out.print(f"  {result['said']}", markup=False)


def _coefficients(result: dict) -> Table:
    title = f"model '{result['model']}', intervals {result['intervals']}"
    made = table(title, ["coefficient", "unit"], ["value", "from", "to"])
    for one in result["coefficients"]:
        values = [f"{one[name]:.4g}" for name in ("value", "low", "high")] if one["determined"] else ["not determined", "", ""]
        made.add_row(one["name"], one["unit"], *values)
    return made


def _figures(title: str, figures: dict) -> Table:
    made = table(title, ["model"], ["MAPE", "bias", "worst", "R2", "tau", "err/U", "in U", "runs"])
    for name, one in figures.items():
        percents = [_said(one[key], 100, "+.2f" if key == "bias" else ".2f") for key in ("mape", "bias", "worst")]
        made.add_row(
            name, *percents, _short(one["r2"]), _said(one["kendall_tau"], 1, ".2f"), _short(one["over_u"]),
            f"{100 * one['within_u']:.0f}", f"{one['resolved']}/{one['runs']}",
        )  # fmt: skip
    return made


def _workloads(result: dict) -> Table:
    truth = result["truth"]
    made = table(f"net power by workload, mean of its runs: {truth} and predicted without it", ["workload", "family"],
                 [f"{truth} W", "U W", "simulated W", "error %"])  # fmt: skip
    by_name: dict[str, list[dict]] = {}
    for run in result["each_run"]:
        by_name.setdefault(run["workload"], []).append(run)
    for name, runs in by_name.items():
        seconds = sum(run["time_s"] for run in runs)
        true_w = sum(run[truth]["net"]["value"] for run in runs) / seconds
        u_w = sum(run[truth]["net"]["u95"] for run in runs) / seconds
        simulated_w = sum(run["simulated"]["net"]["value"] for run in runs) / seconds
        error = f"{100 * (simulated_w / true_w - 1):+.2f}" if true_w > u_w else "not resolved"
        made.add_row(name, runs[0]["family"], f"{true_w:.4f}", f"{u_w:.4f}", f"{simulated_w:.4f}", error)
    return made


def _short(value: float | None) -> str:
    """Return a number of at most six characters that is exact near 1, where it matters."""
    return _said(value, 1, ".3f" if value is not None and abs(value) < 2 else ".1f")


def _said(value: float | None, scale: float, form: str) -> str:
    return "none" if value is None else format(scale * value, form)
