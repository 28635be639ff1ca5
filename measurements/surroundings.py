"""What went on around a window: signs of background work, odd rails, and the conditions that two energies must share."""

from __future__ import annotations

import datetime
import math
from typing import Any

from host.readings import HOST_CLOCK
from host.trace import SensorRecord, Trace, Window
from measurements import rails as tree
from measurements.budget import Budget
from measurements.coverage import Coverage
from measurements.energy_window import WindowEnergy
from measurements.idle import IdlePower

BUSY_SHARE = 0.5
"""Runnable processes per processor before a run, from which something else is going on."""
DISAGREE = 0.05
LINUX = "hwmon"
"""Sensors that know rails by what a device tree calls them; all others know which are parts of which."""


def warnings_of(
    trace: Trace,
    record: SensorRecord,
    parts: list[WindowEnergy],
    covers: list[Coverage],
    idle: IdlePower | None,
    budget_net: Budget | None,
    window: Window,
) -> list[str]:
    """Return what a reader should know, one sentence each."""
    said = []
    for part, cover in zip(parts, covers, strict=True):
        said += _rail_warnings(record, part, cover) + _calibration_notes(trace, part)
    if len(parts) > 1 and record.url.partition(":")[0] == LINUX:
        added = ", ".join(part.series.rail for part in parts)
        said.append(f"the rails {added} are added up, Linux does not say what contains what: if one contains the others, it is "
                    "total= in the sensor's URL")  # fmt: skip
    said += _idle_warnings(idle, budget_net)
    said += _load_warnings(trace, record, window)
    if trace.damaged_blocks:
        said.append(f"{trace.damaged_blocks} blocks of the trace are damaged: their samples are missing")
    asked, real = trace.provenance.get("clk_hz_requested"), trace.provenance.get("clk_hz")
    if asked and real and abs(real / asked - 1) > 0.001:
        said.append(f"the board runs at {real / 1e6:.6g} MHz, {asked / 1e6:.6g} MHz were asked for")
    return said


def _rail_warnings(record: SensorRecord, part: WindowEnergy, cover: Coverage) -> list[str]:
    """Return what is odd about a rail's values."""
    said, series = [], part.series
    if cover.observed < 0.9:
        said.append(f"rail {cover.rail} is polled slower than renewed: {cover.observed:.0%} of the time is inside an average")
    stated = [channel.refresh_s for channel in series.channels if channel.refresh_s]
    if cover.refresh_found and stated and cover.refresh_s > 1.5 * max(max(stated), series.refresh.spacing_s):
        said.append(f"rail {cover.rail} is renewed every {cover.refresh_s * 1e3:.3g} ms, {max(stated) * 1e3:.3g} ms are stated")
    for edge, word in ((part.start, "first sample comes after the start"), (part.end, "last sample comes before the end")):
        if edge.missing_s > 0:
            said.append(f"rail {cover.rail}: the {word} of the window by {edge.missing_s:.3g} s, which is in the uncertainty")
    if part.energy_j < 0:
        said.append(f"rail {cover.rail} has a negative mean power of {part.power_w:.4g} W: offset or shunt the wrong way round")
    apart = tree.disagreement(record, series.rail)
    if apart > DISAGREE:
        said.append(f"rail {cover.rail}: volts times amperes and watts differ by {apart:.0%}, {series.channels[0].name} is used")
    return said


def _calibration_notes(trace: Trace, part: WindowEnergy) -> list[str]:
    """Return by what a rail was calibrated and how old that was when the trace began, and whether it reaches so far."""
    made = part.series.calibration
    if made is None:
        return []
    began_s = trace.provenance.get("clocks", {}).get("wall_unix_s")
    began = None if began_s is None else datetime.datetime.fromtimestamp(began_s, datetime.timezone.utc)
    said = [f"rail {part.series.rail} is {made.described(began)}"]
    reading_w = (part.power_w - made.offset_w) / made.gain
    if not made.covers(reading_w):
        said.append(f"rail {part.series.rail} reads {reading_w:.4g} W, but was calibrated from {made.low_w:.4g} to "
                    f"{made.high_w:.4g} W: calibrate with loads around the power that is measured")  # fmt: skip
    return said


def _idle_warnings(idle: IdlePower | None, budget_net: Budget | None) -> list[str]:
    """Return what is odd about idle."""
    if idle is None or budget_net is None:
        return []
    said = []
    if idle.total_w < 0:
        said.append(f"idle power is negative ({idle.total_w:.4g} W): offset or shunt the wrong way round; it is subtracted as is")
    if idle.change_w is None:
        said.append("idle is known on one side of the window only: its drift is guessed from its own trend")
        return said
    noise_w2 = [quiet.variance_w2 / max(1, len(group[0].weights)) for group in idle.parts for quiet in idle.noise.values()]
    noise_w = math.sqrt(math.fsum(noise_w2))
    if abs(idle.change_w) > max(4 * noise_w, 0.02 * abs(idle.total_w)):
        said.append(f"idle changed by {idle.change_w:+.4g} W between before and after ({idle.total_w:.4g} W): warming up, or "
                    "background work")  # fmt: skip
    return said


def _load_warnings(trace: Trace, record: SensorRecord, window: Window) -> list[str]:
    """Return whether the machine had other work, by the load averages over one minute that the sampler noted.

    On the virtual clock what else the machine does costs no joules.
    """
    seen = trace.provenance.get("observations", {}).get("load_average", [])
    loads = [(t_s, load[0]) for t_s, load in seen if load]
    if record.clock != HOST_CLOCK or not loads:
        return []
    processors = trace.provenance.get("machine", {}).get("cpus") or 1
    first = loads[0][1]
    most = max((load for t_s, load in loads if window.start_s <= t_s <= window.end_s), default=0.0)
    if first > BUSY_SHARE * processors:
        return [f"the machine was busy before the run began (load average {first:.2f} on {processors} processors): "
                "background work may be in the energy"]  # fmt: skip
    if most > processors + BUSY_SHARE:
        return [f"more was at work than the {processors} processors could take during the window (load average {most:.2f}): "
                "background work may be in the energy"]  # fmt: skip
    return []


def conditions_of(trace: Trace, record: SensorRecord, window: Window, scope: str, idle: IdlePower | None) -> dict[str, Any]:
    """Return what two energies must share to be put together: label, scope, definition of idle, clocks, program, seed."""
    definitions = sorted({str(each.note.get("definition", "idle")) for each in idle.windows}) if idle else []
    known = {key: trace.provenance.get(key) for key in ("clk_hz", "program", "checkpoint", "seed", "bitstream", "configuration")}
    return {"label": record.label, "sensor": record.url.partition("?")[0].partition(":")[0], "scope": scope, "idle": definitions,
            "clock": window.clock, **{key: value for key, value in known.items() if value is not None}}  # fmt: skip
