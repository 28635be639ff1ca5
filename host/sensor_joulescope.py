"""Joulescope JS220 and JS110 through pyjoulescope_driver: "joulescope" (the only one) or "joulescope:<serial number>".

The instrument's statistics are read: mean volts, amperes and watts over a span, computed from every sample, and the energy
counted since it was opened. Options: rate= spans per second (100), rail=, scope=, part_of=, gain_limit=, offset_limit=.
"""

from __future__ import annotations

import threading
import time
from collections import deque

import numpy as np

from host.meter_counters import MeterCounters
from host.meter_limits import NOT_STATED, MeterLimits, number
from host.readings import Loss, Readings
from host.sensor import Found, Sensor, SensorError, SensorLost, Specification

MISSING = "pyjoulescope_driver is not installed: pip install 'joulegrad[meters]'"
WAITING = 20_000
"""Statistics that wait at most for `read`; further ones are dropped and counted."""

SILENT_S = 3.0
"""An instrument that says nothing for so long is asked whether it is still there."""

GATHER_S = 0.05


class Driver(Sensor):
    """A Joulescope."""

    def __init__(self, url: str, where: str, rate: str = "100", **options: str):
        super().__init__(url)
        self._limits, left = MeterLimits.taken(options)
        if left:
            raise TypeError(f"it takes no option {sorted(left)[0]}")
        self._where, self._rate = where, number("rate", rate, 0.5, 1000)
        self._driver, self._path = None, ""
        self._arrived: deque[tuple[float, dict]] = deque()
        self._news = threading.Condition()
        self._overflowed, self._heard_s = 0, 0.0
        self._counters: MeterCounters | None = None

    def open(self) -> None:
        """Open the instrument and start its statistics."""
        if self._driver is not None:
            return
        try:
            from pyjoulescope_driver import Driver as Library
        except ImportError:
            raise SensorError(MISSING) from None
        try:
            driver = Library()
        except (RuntimeError, OSError) as error:
            raise SensorError(f"the Joulescope driver does not start: {error}") from None
        try:
            self._path = self._chosen(driver.device_paths())
            driver.open(self._path)
            self._start(driver)
        except (RuntimeError, OSError, ValueError) as error:
            driver.finalize()
            if isinstance(error, SensorError):
                raise
            raise SensorError(f"the Joulescope {self._path} cannot be opened, or is in use by another program: {error}") from None
        self._driver, self._heard_s = driver, time.monotonic()
        if self._counters is not None:
            self._counters.restart()
        self._set_channels()

    def _chosen(self, paths: list[str]) -> str:
        fitting = [path for path in paths if not self._where or path == self._where or path.split("/")[-1] == self._where]
        if len(fitting) != 1:
            raise SensorError(
                f"{len(fitting)} Joulescopes fit {self._where or 'any'!r}; plugged in are {', '.join(paths) or 'none'}: "
                "name one as joulescope:<serial number>"
            )
        return fitting[0]

    def _start(self, driver) -> None:
        if "js110" in self._path:
            driver.publish(f"{self._path}/s/i/range/select", "auto")
            for signal in "ivp":
                driver.publish(f"{self._path}/s/{signal}/ctrl", "on")
            driver.publish(f"{self._path}/s/stats/scnt", round(2_000_000 / self._rate))
            driver.publish(f"{self._path}/s/stats/ctrl", "on")
        else:
            driver.publish(f"{self._path}/s/i/range/mode", "auto")
            driver.publish(f"{self._path}/s/stats/scnt", round(1_000_000 / self._rate))
            driver.publish(f"{self._path}/s/stats/ctrl", 1)
        driver.subscribe(f"{self._path}/s/stats/value", "pub", self._take)

    def _take(self, topic: str, value: dict) -> None:
        """Keep one statistic; called by the library's own thread."""
        now_s = time.monotonic()
        with self._news:
            if len(self._arrived) >= WAITING:
                self._overflowed += 1
                return
            self._arrived.append((now_s, value))
            self._news.notify()

    def _set_channels(self) -> None:
        span_s = 1 / self._rate
        model = self._path.split("/")[1].upper() if "/" in self._path else "Joulescope"
        limit = Specification(None, source=f"{model}: {NOT_STATED}")
        same = {"kind": "average", "refresh_s": span_s, "averaging_s": span_s}
        self.channels = (
            self._limits.channel("voltage", "V", limit, **same),
            self._limits.channel("current", "A", limit, **same),
            self._limits.channel("power", "W", limit, **same),
            self._limits.channel("energy", "J", limit, "accumulated", refresh_s=span_s),
        )

    def close(self) -> None:
        """Stop the statistics and free the instrument."""
        driver, self._driver = self._driver, None
        if driver is None:
            return
        try:
            driver.unsubscribe(f"{self._path}/s/stats/value", self._take)
            driver.publish(f"{self._path}/s/stats/ctrl", "off" if "js110" in self._path else 0)
            driver.close(self._path)
        except (RuntimeError, OSError, TimeoutError):
            pass  # it is gone already
        finally:
            driver.finalize()

    def read(self, timeout_s: float = 1.0) -> Readings:
        """Return the statistics that have arrived."""
        if self._driver is None:
            raise SensorError(f"sensor {self.url!r} is not open")
        with self._news:
            self._news.wait_for(lambda: self._arrived, timeout_s)
        time.sleep(min(GATHER_S, timeout_s) if self._arrived else 0)
        with self._news:
            arrived, self._arrived = list(self._arrived), deque()
            overflowed, self._overflowed = self._overflowed, 0
        if overflowed:
            self.losses.append(Loss(time.monotonic(), "queue overflow", overflowed, "statistics came faster than they were read"))
        if not arrived:
            self._listen()
            return Readings.none(len(self.channels))
        self._heard_s = arrived[-1][0]
        return self._rows(arrived)

    def _listen(self) -> None:
        if time.monotonic() - self._heard_s < SILENT_S:
            return
        try:
            gone = self._path not in self._driver.device_paths()
        except (RuntimeError, OSError) as error:
            gone = bool(error)
        self._heard_s = time.monotonic()
        reason = "unplugged" if gone else "stalled read"
        self.losses.append(Loss(self._heard_s, reason, 0, f"no statistic for {SILENT_S:g} s"))
        if gone:
            self.close()
            raise SensorLost(f"sensor {self.url!r} is gone: the Joulescope is no longer listed")

    def _rows(self, arrived: list[tuple[float, dict]]) -> Readings:
        try:
            table = np.array([_row(value) for _, value in arrived])
            frequency_hz = float(arrived[0][1]["time"]["sample_freq"]["value"])
        except (KeyError, TypeError, IndexError) as error:
            raise SensorError(f"the Joulescope's statistics lack {error}: another version of pyjoulescope_driver") from None
        if self._counters is None:
            self._counters = MeterCounters(0, 32, 1 / frequency_hz)
        t_s, end = np.array([t for t, _ in arrived]), table[:, 1].astype(np.int64)
        unwrapped = self._counters.add(None, end % 2**32, t_s)
        kept, span = unwrapped.kept, np.maximum(table[:, 1] - table[:, 0], 1)
        self.losses += unwrapped.losses
        ends = np.round(unwrapped.device_t_s * frequency_hz / span[kept]).astype(np.int64)
        if len(ends) > 1:
            for i in np.flatnonzero(np.diff(ends) > 1):
                self.losses.append(
                    Loss(float(t_s[kept][i + 1]), "dropped", int(ends[i + 1] - ends[i] - 1), "the sample numbers have a hole")
                )
        values = table[kept][:, 2:]
        missing = ~np.isfinite(values)
        if missing.any():
            self.losses.append(
                Loss(float(t_s[0]), "rejected", int(missing.any(1).sum()), "the instrument lost samples and says NaN")
            )
            values[missing] = np.nan
        return Readings.of(t_s[kept], values, 0.0, unwrapped.device_t_s, ends)

    def describe(self) -> dict:
        """Return model and serial number."""
        parts = self._path.split("/")
        return {
            "make": "Jetperch",
            "model": parts[1].upper() if len(parts) > 2 else "",
            "serial": parts[-1],
            "rate_hz": self._rate,
            "drops": "from sample numbers",
        }


def _row(value: dict) -> list[float]:
    """Return first and last sample number, volts, amperes, watts, joules of one statistic."""
    start, end = value["time"]["samples"]["value"]
    means = [value["signals"][name]["avg"]["value"] for name in ("voltage", "current", "power")]
    return [start, end, *means, value["accumulators"]["energy"]["value"]]


def found() -> list[Found]:
    """Return the Joulescopes that are plugged in."""
    try:
        from pyjoulescope_driver import Driver as Library
    except ImportError:
        return [Found("joulescope", "Joulescope JS220, JS110", MISSING)]
    try:
        driver = Library()
        paths = driver.device_paths()
        driver.finalize()
    except (RuntimeError, OSError) as error:
        return [Found("joulescope", "Joulescope JS220, JS110", f"its driver does not start: {error}")]
    if not paths:
        return [Found("joulescope", "Joulescope JS220, JS110", "none is plugged in")]
    return [Found(f"joulescope:{path.split('/')[-1]}", f"Joulescope {path}") for path in paths]
