"""faulty: another sensor with faults put in, for tests: "faulty:<its URL, percent-encoded>?seed=1&failed=0.01&unplug_at=50".

`faulty_url` writes such URLs; the options are those of host.faulty_sensor.Faults.
"""

from __future__ import annotations

from dataclasses import fields
from urllib.parse import quote, unquote, urlencode

from host.faulty_sensor import Faults, FaultySensor
from host.sensor import Found, open_sensor


def faulty_url(inner: str, **faults: float) -> str:
    """Return the URL of a sensor with faults."""
    return f"faulty:{quote(inner, safe='')}?{urlencode(faults)}"


class Driver(FaultySensor):
    """The sensor named in the URL, with faults."""

    def __init__(self, url: str, where: str, **options: str):
        if not where:
            raise ValueError("name the sensor inside: faulty:<URL, percent-encoded>")
        kinds = {field.name: int if field.type == "int" else float for field in fields(Faults)}
        unknown = sorted(set(options) - set(kinds))
        if unknown:
            raise ValueError(f"no fault {', '.join(unknown)}: there are {', '.join(kinds)}")
        super().__init__(url, open_sensor(unquote(where)), Faults(**{name: kinds[name](text) for name, text in options.items()}))


def found() -> list[Found]:
    """Return nothing: it is for tests."""
    return []
