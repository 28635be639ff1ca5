"""What must stand beside a number: sensor, coverage, windows, idle, clocks, software, what was replayed."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable

from host.sensor import Channel
from measurements.joules import Joules
from measurements.quantities import Quantity
from measurements.report_parts import Table, number, plain, with_u, with_unit
from measurements.report_run import ReportedRun
from measurements.report_trace import TraceView

FLAT_MOST = 80
LOSSES_MOST = 40


def sensor_table(trace: TraceView, run: ReportedRun) -> Table:
    """Return every channel with instrument, specification and calibration."""
    dated = {(one.sensor, channel.name): part.series.calibration.date
             for one in run.joules for part in one.parts if part.series.calibration
             for channel in part.series.channels}  # fmt: skip
    rows = []
    for index, record in enumerate(trace.sensors):
        who = " ".join(str(record.description[name]) for name in ("make", "model", "serial") if record.description.get(name))
        shunt = record.description.get("shunt_ohm")
        for channel in record.channels[:40]:
            limits = channel.specification
            gain = "not stated" if limits.gain is None else f"{100 * limits.gain:.3g} %"
            rows.append((
                plain(record.url, 60), plain(record.label, 12), plain(who or "not said", 60), plain(channel.name, 40),
                _kind(channel),
                gain, f"{100 * limits.shunt:.3g} %" + (f" of {plain(shunt, 12)} ohm" if shunt else ""),
                f"{with_unit(limits.offset, 'W' if channel.unit == 'J' else channel.unit, 3)}, "
                f"step {with_unit(limits.quantum, channel.unit, 3)}",
                "none" if math.isinf(limits.full_scale) else with_unit(limits.full_scale, channel.unit),
                plain(dated.get((index, channel.name), "none"), 20),
            ))  # fmt: skip
    columns = ("sensor", "label", "instrument", "channel", "kind", "gain", "shunt", "offset, step", "full scale", "calibrated")
    note = (
        'Limits of error are half widths of rectangular distributions. "Calibrated: none" means that the data sheet alone stands.'
    )
    sources = dict.fromkeys(channel.specification.source for record in trace.sensors for channel in record.channels)
    note += " The limits come from: " + "; ".join(plain(source or "nowhere stated", 240) for source in list(sources)[:6])
    return Table("Sensors and their specifications", columns, tuple(rows), note)


def coverage_table(found: Iterable[Joules]) -> Table:
    """Return how values cover each window, by rail."""
    rows = []
    for one in list(found)[:40]:
        for rail, cover in one.coverage.items():
            asked = "stream" if cover.requested_s is None else with_unit(cover.requested_s, "s", 3)
            rows.append((
                _window(one), _url(one), plain(rail, 40), number(cover.values), asked, with_unit(cover.refresh_s, "s", 4),
                f"{100 * cover.covered:.4g} %",
                with_unit(cover.longest_gap_s, "s", 3), number(cover.gaps), number(cover.duplicates), number(cover.dropped),
                number(cover.rejected + cover.missing), number(cover.saturated), "yes" if one.lock.locked else "no",
            ))  # fmt: skip
    columns = ("window", "sensor", "rail", "values", "read every", "renewed every", "covered", "longest distance", "gaps",
               "duplicates", "dropped",
               "rejected", "saturated", "locked")  # fmt: skip
    note = (
        "A gap is longer than three refreshes; gaps above 0.1 % make a window invalid. Rejected: also those without a value. "
        "Locked: samples fall on the same phase of every iteration."
    )
    return Table("Coverage", columns, tuple(rows), note)


def idle_table(found: Iterable[Joules]) -> Table | None:
    """Return idle power before and after each window, and its drift; None where no idle was taken."""
    rows = []
    definitions: dict[str, None] = {}
    for one in list(found)[:40]:
        idle = one.idle
        if idle is None:
            continue
        watts = [math.fsum(part.power_w for part in parts) for parts in idle.parts]
        before = [w for w, window in zip(watts, idle.windows, strict=True) if window.end_s <= one.window.start_s]
        after = [w for w, window in zip(watts, idle.windows, strict=True) if window.start_s >= one.window.end_s]
        drift = "one side only" if idle.change_w is None else f"{with_unit(idle.change_w, 'W', 3)}"
        rows.append((_window(one), _url(one), *(f"{side[0]:.5g} W" if side else "none" for side in (before, after)), drift,
                     f"{idle.total_w:.5g} W"))  # fmt: skip
        definitions |= dict.fromkeys(idle.to_json()["definition"])
    if not rows:
        return None
    note = "Idle is: " + "; ".join(plain(text, 240) for text in definitions)
    return Table("Idle power", ("window", "sensor", "before", "after", "change", "taken for the window"), tuple(rows), note)


def window_table(run: ReportedRun) -> Table | None:
    """Return the windows that joules were taken from, and for repeats their mean, with U."""
    if not run.every:
        return None
    rows = []
    for one in run.every[:60]:
        residual = "none: host's stamps" if one.residual_s is None else with_unit(one.residual_s, "s", 3)
        rows.append((_window(one), _url(one), plain(one.label, 12), f"{one.time_s:.6g} s", number(one.iterations), _q(one.gross),
                     _q(one.net), residual, plain((one.net or one.gross).verdict, 160)))  # fmt: skip
    for sensed in run.sensed:
        pooled = sensed.pooled
        if pooled is not None:
            rows.append((f"mean of {pooled.n} repeats", plain(sensed.url, 40), plain(pooled.label, 12), "",
                         number(pooled.iterations), _q(pooled.gross), _q(pooled.net), "",
                         plain((pooled.net or pooled.gross).verdict, 160)))  # fmt: skip
    runs = sorted({one.runs for one in run.sensed})
    note = f"A repeat does the run {number(runs[0])} times; its energy is divided by that." if runs and runs != [1] else ""
    note += " Windows begin and end where the working process set its marks."
    columns = ("window", "sensor", "label", "length", "iterations", "gross", "net", "alignment residual", "verdict")
    return Table("Windows of the measurement", columns, tuple(rows), note.strip())


def loss_table(trace: TraceView) -> Table | None:
    """Return what sensors lost, by reason, and the longest gaps; None where nothing was lost."""
    counted: dict[tuple[str, str], list[int]] = {}
    for loss in trace.losses:
        url = trace.sensors[loss.sensor].url if 0 <= loss.sensor < len(trace.sensors) else "unknown"
        entry = counted.setdefault((url, loss.reason), [0, 0])
        entry[0], entry[1] = entry[0] + 1, entry[1] + loss.count
    rows = [
        (plain(url, 60), plain(reason, 30), number(times), number(count)) for (url, reason), (times, count) in counted.items()
    ]
    for rail in trace.rails:
        if rail.gap_count:
            longest = max(high - low for low, high in rail.gaps)
            rows.append(
                (plain(rail.url, 60), f"gaps of rail {plain(rail.rail, 30)}", number(rail.gap_count), f"longest {longest:.4g} s")
            )
    if not rows:
        return None
    return Table("Gaps and losses of the recording", ("sensor", "what", "times", "rows"), tuple(rows[:LOSSES_MOST]))


def provenance_table(run: ReportedRun) -> Table:
    """Return what the run was: commit, versions, configuration, seeds, machine, clocks, files."""
    record = run.record
    rows: list[tuple[str, str]] = [("run folder", plain(run.path, 200))]
    for key in ("benchmark", "workload", "family", "status", "commit", "board", "config_hash", "seed", "batch_size", "steps",
                "check",
                "stall_probability", "control", "measured", "command", "exit_code"):  # fmt: skip
        if record.get(key) is not None:
            rows.append((key.replace("_", " "), plain(record[key])))
    for key in ("started_unix_s", "ended_unix_s"):
        rows.append((key.split("_")[0], _date(record.get(key))))
    if run.config is not None:
        c = run.config
        rows.append(
            ("configuration", f"{plain(c.name, 40)}: array {c.g} x {c.g}, {c.clk_hz / 1e6:g} MHz, memory {c.axi_bits} bit")
        )
    for key in ("versions", "energy_assumptions", "planned", "machine_before", "sampler"):
        rows += [(f"{key.replace('_', ' ')}: {name}", text) for name, text in _flat(record.get(key))]
    trace = run.trace
    if trace is not None:
        rows += [
            ("raw trace", f"{plain(trace.path.name, 80)}, {trace.size:,} bytes, {trace.rows:,} rows, {plain(trace.status, 12)}"),
            ("raw trace SHA-256", trace.sha256),
            ("clocks", ", ".join(sorted({f"{plain(sensor.url, 60)}: {sensor.clock}" for sensor in trace.sensors}))),
        ]
        for key, value in trace.provenance.items():
            if key not in record and key != "observations":
                rows += [(f"trace, {plain(key, 40)}" + (f": {name}" if name else ""), text) for name, text in _flat(value)]
        rows += _observations(trace)
    return Table("Provenance", ("what", "value"), tuple(rows[:160]))


def replay_table(run: ReportedRun) -> Table | None:
    """Return what was simulated and what was laid down again; None for a run of which nothing was."""
    rows = tuple((name, text) for name, text in _flat(run.record.get("replayed")))
    return Table("What was replayed", ("what", "value"), rows) if rows else None


def warnings_of(run: ReportedRun) -> tuple[str, ...]:
    """Return the warnings of a run's joules, each once."""
    said = [warning for one in run.every for warning in one.warnings]
    said += run.measured.missing if run.measured else []
    if run.trace is not None and run.trace.status != "finished":
        said.append(f"The recording is {run.trace.status}: it was not closed as a finished run.")
    if run.record.get("control"):
        said.append(f"This run is a control, wrong on purpose: {run.record['control']}.")
    return tuple(dict.fromkeys(plain(text) for text in said))[:40]


def _kind(channel: Channel) -> str:
    return plain(channel.kind, 12) + (f" over {with_unit(channel.averaging_s, 's', 3)}" if channel.averaging_s else "")


def _window(one: Joules) -> str:
    numbered = one.window.number or one.window.name == "repeat"
    return plain(one.window.name, 40) + (f" {one.window.number}" if numbered else "")


def _q(quantity: Quantity | None) -> str:
    return "none" if quantity is None else with_u(quantity.value, quantity.u95)


def _url(one: Joules) -> str:
    return plain(one.description["sensor"]["url"], 40)


def _flat(data, name: str = "", depth: int = 0) -> list[tuple[str, str]]:
    """Return nested JSON data as (dotted name, text), at most FLAT_MOST of them."""
    if isinstance(data, dict) and depth < 4:
        found = []
        for key, value in list(data.items())[:FLAT_MOST]:
            found += _flat(value, f"{name}.{key}".lstrip("."), depth + 1)
        return found[:FLAT_MOST]
    if data is None:
        return []
    return [(plain(name, 80), number(data, 6) if isinstance(data, float) else plain(data))]


def _date(unix_s) -> str:
    if not isinstance(unix_s, (int, float)) or not 0 < unix_s < 1e11:
        return "not said"
    return datetime.datetime.fromtimestamp(unix_s, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def _observations(trace: TraceView) -> list[tuple[str, str]]:
    """Return the first and last of what the sampler noticed beside the samples: load, temperatures."""
    rows = []
    observed = trace.provenance.get("observations", {})
    for key, values in list(observed.items())[:20] if isinstance(observed, dict) else ():
        if key != "clocks" and not key.startswith("sensor ") and isinstance(values, list) and values:
            first, last = values[0][-1], values[-1][-1]
            rows.append((f"{plain(key, 40).replace('_', ' ')} (first, last)", f"{plain(first, 80)}, {plain(last, 80)}"))
    return rows
