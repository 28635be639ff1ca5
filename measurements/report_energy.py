"""Where a run's joules went: by phase, by layer and product, by window, and what its uncertainty is made of."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from hw.layers import counters_by_layer
from hw.program import ProgramError, read_program
from measurements.budget import Budget
from measurements.energy_model import PROCESSOR_BYTES, SHARES, EnergyTable, EnergyTableError, Shares, energy_shares, load_table
from measurements.energy_window import window_energy
from measurements.joules import Joules
from measurements.quantities import Quantity
from measurements.recompute import ENERGY_TABLE
from measurements.report_parts import (
    LABEL_STYLE,
    Figure,
    Table,
    View,
    axis,
    distinct,
    marked,
    number,
    plain,
    scale_of,
    with_u,
    with_unit,
)
from measurements.report_run import ReportedRun
from measurements.series import NoEnergy

PROGRAM = "program.zip"
SHARE_COLOUR = {"array": ("@blue", ""), "memory": ("@orange", "/"), "vector": ("@green", "."), "processor": ("@purple", "x")}
WORK_COLOUR = {
    "forward": ("@blue", ""), "grad_input": ("@orange", "/"), "grad_weight": ("@green", "\\"), "element-wise": ("@purple", "x"),
    "coefficients": ("@sky", "."), "tables": ("@grey", "-"),
}  # fmt: skip
OTHER_WORK = ("@yellow", "+")
LAYERS_MOST, WINDOWS_MOST = 60, 40
RESOLVED_REFRESHES = 3
NO_LAYER = "not told apart by layer"


def simulated_by_segment(run: ReportedRun, table: EnergyTable) -> dict[str, Shares]:
    """Return the run's simulated joules by segment of the core, and of "processor" and "idle"; they sum to the run's."""
    work = run.work
    found = {
        segment: energy_shares(counts, run.config, table, 0.0, 0.0, {**work.activity.get(segment, {}), PROCESSOR_BYTES: 0})
        for segment, counts in work.counters.items()
    }
    found["processor"] = energy_shares({}, run.config, table, 0.0, work.processor_s, {PROCESSOR_BYTES: work.processor_bytes})
    found["idle"] = energy_shares({}, run.config, table, work.time_s, 0.0)
    return found


def simulated_by_layer(run: ReportedRun, table: EnergyTable) -> dict[tuple[str, str], float]:
    """Return the core's simulated joules by (layer, work), in the order of the program.

    What the table pays for counts that no instruction predicts (cycles, toggles) is in (NO_LAYER, "tables").

    Raises:
        ProgramError: the run's program is missing or damaged.
        EnergyTableError: the table does not fit the counts.
    """
    program = read_program(run.path / PROGRAM)
    if program.step is None or program.config_hash != run.config.config_hash:
        raise ProgramError(f"{run.path / PROGRAM} was compiled for configuration {plain(program.config_name, 40)}, the run has "
                           f"{plain(run.config.name, 40)}")  # fmt: skip
    counts: dict[tuple[str, str], Counter] = {}
    for (segment, images), times in run.work.images.items():
        for key, counted in counters_by_layer(program, segment, images, run.config).items():
            counts.setdefault(key, Counter()).update({name: count * times for name, count in counted.items()})
    joules = {key: energy_shares(counted, run.config, table, 0.0, 0.0).net for key, counted in counts.items()}
    by_segment = simulated_by_segment(run, table)
    core_j = math.fsum(shares.net for name, shares in by_segment.items() if name not in ("processor", "idle"))
    rest_j = core_j - math.fsum(joules.values())
    if abs(rest_j) > 1e-9 * core_j:
        joules[NO_LAYER, "tables"] = rest_j
    return joules


def energy_figures(run: ReportedRun, key: str) -> list[Figure]:
    """Return figures by phase and by layer, as far as the run has what they need; what is missing goes to `run.missing`."""
    if run.measured is not None:
        return [_window_figure(run.every, key)]
    if run.work is None or run.config is None:
        return []
    figures = []
    try:
        table = load_table(run.path / ENERGY_TABLE)
        figures.append(_phase_figure(run, table, key))
        if (run.path / PROGRAM).exists():
            figures.append(_layer_figure(simulated_by_layer(run, table), table, key))
        else:
            run.missing.append(f"The run folder holds no {PROGRAM}: joules cannot be divided between layers.")
    except (EnergyTableError, ProgramError) as error:
        run.missing.append(f"Simulated joules are not divided: {plain(error)}.")
    except (ValueError, KeyError, IndexError) as error:
        run.missing.append(
            f"Simulated joules are not divided between layers: {PROGRAM} does not fit this run ({plain(error, 80)})."
        )
    return figures


def _phase_figure(run: ReportedRun, table: EnergyTable, key: str) -> Figure:
    by_segment = simulated_by_segment(run, table)
    idle_j = by_segment.pop("idle").idle
    names = [name for name in by_segment if by_segment[name].net]
    scale, prefix = scale_of([by_segment[name].net for name in names])
    data = [
        {
            "type": "bar", "orientation": "h", "name": f"{share} (simulated)", "y": distinct([marked(name) for name in names]),
            "x": [getattr(by_segment[name], share) / scale for name in names],
            "marker": _bars_of(colour, hatch),
            "hovertemplate": f"%{{y}}: %{{x:.4g}} {prefix}J",
        }
        for share, (colour, hatch) in SHARE_COLOUR.items() if any(getattr(by_segment[name], share) for name in names)
    ]  # fmt: skip
    layout = {"barmode": "stack", "xaxis": axis(f"simulated energy above idle ({prefix}J)"),
              "yaxis": axis("", autorange="reversed", type="category")}  # fmt: skip
    rows = [(plain(name, 60), *(with_unit(getattr(shares, share), "J") for share in SHARES if share != "idle"),
             with_unit(shares.net, "J")) for name, shares in by_segment.items()]  # fmt: skip
    said = (f"Counters of the core's segments and busy time of the processor, times energy table {plain(table.name, 60)}. "
            f"Idle power costs {with_unit(idle_j, 'J')} more. {sensed_by_phase(run)}")  # fmt: skip
    columns = ("phase", *(share for share in SHARES if share != "idle"), "together, net")
    return Figure(f"{key}-phases", "Joules by phase", said, (View("phases", data, layout),), 130 + 42 * len(names),
                  Table("The same in numbers (simulated)", columns, tuple(rows)))  # fmt: skip


def sensed_by_phase(run: ReportedRun) -> str:
    """Return what the sensor says of the phases in one or two sentences: their energy, or that it is too slow for them."""
    if run.trace is None or not run.joules:
        return ""
    one = run.joules[0]
    inside = [w for w in run.trace.windows if w.phase not in ("other", "idle", "signature") and w.name == w.phase]
    if not inside or not one.parts:
        return ""
    refresh_s = max(part.series.refresh.refresh_s for part in one.parts)
    typical_s = sorted(w.end_s - w.start_s for w in inside)[len(inside) // 2]
    if typical_s < RESOLVED_REFRESHES * refresh_s:
        return (f"The sensor renews its value every {with_unit(refresh_s, 's', 3)} and a phase takes "
                f"{with_unit(typical_s, 's', 3)}: it cannot tell phases apart, so there "
                f"are no {one.label} joules by phase.")  # fmt: skip
    energies: dict[str, float] = {}
    try:
        for window in inside[:20000]:
            joules = math.fsum(window_energy(part.series, window.start_s, window.end_s).energy_j for part in one.parts)
            energies[window.phase] = energies.get(window.phase, 0.0) + joules
    except NoEnergy as error:
        return f"No {one.label} joules by phase: {plain(error, 200)}."
    listed = ", ".join(f"{plain(phase, 20)} {with_unit(joules, 'J', 3)}" for phase, joules in energies.items())
    return f"By the sensor, gross, {one.label}, without U because single phases are far below 10 s: {listed}."


def _layer_figure(joules: dict[tuple[str, str], float], table: EnergyTable, key: str) -> Figure:
    layers: dict[str, dict[str, float]] = {}
    for (layer, work), energy_j in joules.items():
        of = layers.setdefault(layer, {})
        kind = {"sum_forward": "forward", "sum_backward": "grad_input"}.get(work, work)
        of[kind] = of.get(kind, 0.0) + energy_j
    left_out = sorted(layers, key=lambda layer: -sum(layers[layer].values()))[LAYERS_MOST:]
    if left_out:
        rest: dict[str, float] = {}
        for layer in left_out:
            for work, energy_j in layers.pop(layer).items():
                rest[work] = rest.get(work, 0.0) + energy_j
        layers[f"{len(left_out)} further layers"] = rest
    kinds = [*WORK_COLOUR, *sorted({work for of in layers.values() for work in of} - set(WORK_COLOUR))]
    scale, prefix = scale_of([sum(of.values()) for of in layers.values()])
    data, names = [], distinct([marked(layer, 40) for layer in layers])
    for work in kinds:
        if not any(work in of for of in layers.values()):
            continue
        colour, hatch = WORK_COLOUR.get(work, OTHER_WORK)
        data.append({
            "type": "bar", "orientation": "h", "name": marked(work, 30), "y": names,
            "x": [of.get(work, 0.0) / scale for of in layers.values()],
            "marker": _bars_of(colour, hatch),
            "hovertemplate": f"%{{y}}: %{{x:.4g}} {prefix}J",
        })  # fmt: skip
    layout = {"barmode": "stack", "xaxis": axis(f"simulated energy ({prefix}J)"),
              "yaxis": axis("", autorange="reversed", type="category")}  # fmt: skip
    said = (f"Shares come from the energy model: exact counts of each layer's instructions times energy table "
            f"{plain(table.name, 60)}, label simulated. No sensor can tell layers apart. "
            "Idle power and the processor are not in it.")  # fmt: skip
    rows = [(plain(layer, 60), *(with_unit(of.get(work, 0.0), "J") for work in kinds), with_unit(sum(of.values()), "J"))
            for layer, of in layers.items()]  # fmt: skip
    return Figure(f"{key}-layers", "Joules by layer and product", said, (View("layers", data, layout),), 130 + 26 * len(layers),
                  Table("The same in numbers (simulated)", ("layer", *kinds, "together"), tuple(rows)))  # fmt: skip


def _window_figure(found: Sequence[Joules], key: str) -> Figure:
    """Return gross and net energy of the windows of a measurement, with U where it can be stated."""
    shown, several = list(found)[:WINDOWS_MOST], len({one.sensor for one in found}) > 1
    values = [q.value for one in shown for q in (one.gross, one.net) if q is not None]
    scale, prefix = scale_of(values)
    names = distinct([marked(_window_name(one, several), 60) for one in shown])
    data = []
    for kind, colour, hatch in (("gross", "@blue", ""), ("net", "@orange", "/")):
        quantities = [getattr(one, kind) for one in shown]
        data.append({
            "type": "bar", "orientation": "h", "name": f"{kind} ({marked(shown[0].label, 12)})", "y": names,
            "x": [None if q is None else q.value / scale for q in quantities],
            "error_x": {
                "type": "data", "array": [_bar(q, scale) for q in quantities], "color": "@ink", "thickness": 1.4, "width": 4,
            },
            "marker": _bars_of(colour, hatch),
            "hovertemplate": f"%{{y}}: %{{x:.4g}} {prefix}J",
        })  # fmt: skip
    layout = {"barmode": "group", "xaxis": axis(f"energy of the window ({prefix}J)"),
              "yaxis": axis("", autorange="reversed", type="category")}  # fmt: skip
    rows = tuple(
        (_window_name(one, several), plain(one.window.phase, 12), f"{one.time_s:.4g} s", number(one.iterations),
         _said(one.gross), _said(one.net), plain(one.gross.verdict if one.net is None else one.net.verdict, 200))
        for one in shown
    )  # fmt: skip
    said = "Bars have their U (95 %) where it can be stated; the verdict stands in the table."
    if len(found) > len(shown):
        said += f" {len(found) - len(shown)} further windows are in the run's run.json only."
    table = Table("The same in numbers", ("window", "phase", "time", "iterations", "gross", "net", "verdict"), rows)
    return Figure(f"{key}-windows", "Joules by window", said, (View("windows", data, layout),), 140 + 44 * len(shown), table)


def _window_name(one: Joules, several: bool) -> str:
    name = plain(one.window.name, 28) + (f" {one.window.number}" if one.window.number else "")
    return f"{name}, {plain(one.description['sensor']['url'], 28)}" if several else name


def _bar(quantity: Quantity | None, scale: float) -> float | None:
    return None if quantity is None or quantity.u95 is None else quantity.u95 / scale


def _said(quantity: Quantity | None) -> str:
    return "none" if quantity is None else with_u(quantity.value, quantity.u95)


def budget_figure(gross: Budget | None, net: Budget | None, label: str, of: str, key: str) -> Figure | None:
    """Return the terms of the budgets as shares of their variance u^2; None where no term is above 0."""
    kinds = [(name, budget) for name, budget in (("gross", gross), ("net", net)) if budget is not None and budget.u_j > 0]
    if not kinds:
        return None
    names = list(dict.fromkeys(term.name for _, budget in kinds for term in budget.terms))
    names.sort(key=lambda name: -max(_share(budget, name) for _, budget in kinds))
    styles = {"gross": ("@blue", ""), "net": ("@orange", "/")}
    data = [
        {
            "type": "bar", "orientation": "h", "name": f"{kind} ({marked(label, 12)})", "y": [marked(name) for name in names],
            "x": [_share(budget, name) for name in names],
            "marker": _bars_of(*styles[kind]),
            "hovertemplate": "%{y}: %{x:.3g} % of u²",
        }
        for kind, budget in kinds
    ]  # fmt: skip
    layout = {"barmode": "group", "xaxis": axis("contribution to the variance u² (%)", rangemode="tozero"),
              "yaxis": axis("", autorange="reversed", type="category")}  # fmt: skip
    rows = [_term(budgets_of(kinds, name), name) for name in names]
    rows += [("together, u", *(with_unit(_of(kinds, kind).u_j, "J") if _of(kinds, kind) else "none" for kind in styles), "", "")]
    note = "; ".join(
        f"{kind}: effective degrees of freedom {_dof(budget.dof)}, k = {budget.k:.2f}, U = {with_unit(budget.u95_j, 'J')}"
        for kind, budget in kinds
    )
    said = (f"What the uncertainty of {of} is made of. Type A terms are evaluated from scatter (noise, repeats), the others are "
            "Type B, from specifications and the course of the recording.")  # fmt: skip
    table = Table("The terms", ("term", "u, gross", "u, net", "degrees of freedom", "type"), tuple(rows), note)
    return Figure(f"{key}-budget", "Uncertainty budget", said, (View("budget", data, layout),), 130 + 34 * len(names), table)


def budgets_of(kinds: list[tuple[str, Budget]], name: str) -> dict:
    """Return kind to the term of that name, where it has one."""
    return {kind: term for kind, budget in kinds for term in budget.terms if term.name == name}


def _of(kinds: list[tuple[str, Budget]], kind: str) -> Budget | None:
    return dict(kinds).get(kind)


def _share(budget: Budget, name: str) -> float:
    return 100 * math.fsum(term.u_j**2 for term in budget.terms if term.name == name) / budget.u_j**2


def _term(terms: dict, name: str) -> tuple[str, ...]:
    any_term = next(iter(terms.values()))
    kind = "A" if name in ("noise", "idle noise", "repeats") else "B"
    return (plain(name, 40), *(with_unit(terms[k].u_j, "J", 3) if k in terms else "none" for k in ("gross", "net")),
            _dof(any_term.dof), kind)  # fmt: skip


def _dof(dof: float) -> str:
    return "infinite" if math.isinf(dof) or dof > 1e6 else f"{dof:.3g}"


def _bars_of(colour: str, hatch: str) -> dict:
    """Return plotly's marker of bars that are told apart by colour and by hatching."""
    pattern = {"shape": hatch, "fillmode": "overlay", "fgcolor": "@paper", "fgopacity": 0.55, "size": 7, "solidity": 0.22}
    return {"color": colour, "pattern": pattern}


def label_marker(label: str) -> dict:
    """Return plotly's marker of a label."""
    colour, symbol = LABEL_STYLE[label]
    return {"color": colour, "symbol": symbol, "size": 10, "line": {"width": 1, "color": "@paper"}}
