"""Which power sensors are there, how fast and how fine they are, and why what is missing is missing."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from host.discovery import look
from host.readings import HOST_CLOCK
from host.sensor import Found, SensorError, open_sensor, schemes
from joulegrad.processor_load import ProcessorLoad

NOT_LOOKED = "not looked at: opening it may restart the meter; name it with --url to look"
VIRTUAL = "simulated: it answers to what a run feeds it"


def list_sensors(seconds: float, step: Callable[[str], None] = lambda text: None, load: bool = False) -> list[dict]:
    """Return one entry for each sensor that any driver finds, and for each driver that finds none.

    Args:
        seconds: to look at each sensor; 0 to open none.
        step: called with the URL before a sensor is looked at.
        load: keep the processor busy for half of the time.

    Returns:
        Entries {"url", "what", "available", "why", "label", "period_s", "note", "warnings", "channels"}; "channels" holds
        `host.discovery.Finding.to_json` of each channel.
    """
    return [entry for scheme in schemes() for entry in _of_driver(scheme, seconds, step, load)]


def look_at(url: str, seconds: float, what: str = "", load: bool = False) -> dict:
    """Return the entry of one sensor. Raises SensorError where it cannot be opened or read."""
    with open_sensor(url) as sensor, ProcessorLoad() as processor:
        entry = _entry(Found(url, what), label=sensor.label, period_s=sensor.period_s)
        if sensor.clock != HOST_CLOCK:
            return entry | {"note": VIRTUAL, "channels": [_unseen(channel) for channel in sensor.channels]}
        found = look(sensor, seconds, processor if load else None)
        losses = sensor.take_losses()
        rails = sensor.describe().get("rails", {})
        warnings = [warning for notes in rails.values() if isinstance(notes, dict) for warning in notes.get("warnings", [])]
        if losses:
            warnings.append(f"{len(losses)} losses while it was looked at, the first: {losses[0].reason}: {losses[0].detail}")
        return entry | {"warnings": warnings, "channels": [finding.to_json() for finding in found]}


def _of_driver(scheme: str, seconds: float, step: Callable[[str], None], load: bool) -> list[dict]:
    try:
        module = importlib.import_module(f"host.sensor_{scheme}")
        there = module.found()
    except (SensorError, ImportError, OSError) as error:
        return [_entry(Found(scheme, "", str(error)))]
    return [_looked_at(found, seconds, getattr(module, "LOOK", True), step, load) for found in there]


def _looked_at(found: Found, seconds: float, may_open: bool, step: Callable[[str], None], load: bool) -> dict:
    if found.missing or not seconds:
        return _entry(found)
    if not may_open:
        return _entry(found) | {"note": NOT_LOOKED}
    step(found.url)
    try:
        return look_at(found.url, seconds, found.what, load)
    except (SensorError, OSError) as error:
        return _entry(Found(found.url, found.what, str(error)))


def _entry(found: Found, label: str = "", period_s: float | None = None) -> dict:
    return {
        "url": found.url,
        "what": found.what,
        "available": not found.missing,
        "why": found.missing,
        "label": label,
        "period_s": period_s,
        "note": "",
        "warnings": [],
        "channels": [],
    }


def _unseen(channel) -> dict:
    """Return a channel's part of a finding where there was nothing to see."""
    from host.discovery import findings
    from host.readings import Readings

    return findings((channel,), Readings.none(1))[0].to_json()
