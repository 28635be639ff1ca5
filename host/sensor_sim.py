"""Sensor "sim": a power monitor on the virtual rails of the simulated board, on virtual time.

    sim?refresh_s=0.0352&kind=average&noise=0.001&jitter_s=0.0001&quantum=0.003125&wrap=inf&seed=0&noise_seed=0

The working process feeds it stretches of constant power (`Sampler.feed`); it samples them and errs like an instrument of its
specification: gain, shunt, offset and time base are drawn in host/specimen.py, seed tells instruments apart and keys their
noise, noise_seed tells recordings of one instrument apart. No real time passes: `read` returns what the fed stretches allow.

kind: point (power at the stamp), average (mean over the refresh before it), accumulated (joules since the start, modulo wrap).
noise (standard deviation) and quantum are in watts, of accumulated values in joules. jitter_s (standard deviation) moves a
point's moment together with its stamp; of the other kinds it moves only the stamp.
"""

from __future__ import annotations

import math
import threading
import zlib

import numpy as np

from host import specimen
from host.readings import VIRTUAL_CLOCK, Readings
from host.sensor import KINDS, Channel, Found, Sensor, SensorError, Specification
from host.virtual_rails import BOARD, RAILS

REFRESH_S = 0.0352
NOISE_W, QUANTUM_W, FULL_SCALE_W = 0.001, 0.003125, 20.48
NOISE_J, QUANTUM_J = 1e-5, 5e-6
GAIN, SHUNT, TIME_BASE = 0.001, 0.005, 0.005
OFFSET_A = 0.0005
JITTER_S = 1e-4
SOURCE = (
    "stated for the simulated instrument after the INA226: gain 0.1 %, 10 uV of offset and 25 times 2.5 uV of power step on a "
    "shunt of 20 mOhm (0.5 %) at 5 V; accumulating, oscillator 0.5 % as the INA228's and no offset"
)
SCOPES = {
    BOARD: "whole simulated board at its 5 V input, converter losses included",
    "ddr_1v5": "DDR supply of the simulated board, behind its converter",
    "pl_1v0": "programmable logic of the simulated board, behind its converter",
    "ps_1v0": "processor of the simulated board, behind its converter",
}
VOLTS = {BOARD: 5.0, "ddr_1v5": 1.5, "pl_1v0": 1.0, "ps_1v0": 1.0}
WAIT_S = 0.05
"""Longest wait of a `read` for something to be fed, so that whoever reads and feeds in turn gets to feed."""
LARGEST_JITTER = 0.2
"""Standard deviations of the stamps above this share of the refresh would put them out of order."""


class Driver(Sensor):
    """Sensor "sim"; the options are strings as they come from a URL."""

    clock = VIRTUAL_CLOCK
    label = "emulated"

    def __init__(
        self, url: str, where: str = "", *, refresh_s: str = str(REFRESH_S), kind: str = "average", noise: str | None = None,
        jitter_s: str | None = None, quantum: str | None = None, wrap: str = "inf", seed: str = "0",
        noise_seed: str = "0",
    ):  # fmt: skip
        super().__init__(url)
        if where:
            raise ValueError(f"the simulated board has no place {where!r}: its sensor is just 'sim'")
        if kind not in KINDS:
            raise ValueError(f"kind {kind!r}: there are {', '.join(KINDS)}")
        joules = kind == "accumulated"
        self._kind = kind
        self._refresh_s = _number("refresh_s", refresh_s, above=0.0)
        self._noise = _number("noise", noise or str(NOISE_J if joules else NOISE_W))
        self._quantum = _number("quantum", quantum or str(QUANTUM_J if joules else QUANTUM_W))
        self._jitter_s = _number("jitter_s", jitter_s or str(min(JITTER_S, 0.01 * self._refresh_s)))
        self._wrap = _number("wrap", wrap, above=0.0, finite=False)
        if self._jitter_s > LARGEST_JITTER * self._refresh_s:
            most_s = LARGEST_JITTER * self._refresh_s
            raise ValueError(f"jitter_s {self._jitter_s:g}: at most {most_s:g} with this refresh_s, else stamps change order")
        for name, text in (("seed", seed), ("noise_seed", noise_seed)):
            if not text.isdecimal():
                raise ValueError(f"{name} {text!r}: a number from 0")
        self._number, self._noise_seed = int(seed), int(noise_seed)
        self.channels = tuple(self._channel(rail) for rail in RAILS)
        self._changed = threading.Condition()
        self._open = False

    def open(self) -> None:
        """Start anew at virtual time 0."""
        errors = [specimen.instrument(channel.name, channel.specification, self._number) for channel in self.channels]
        self._gain = np.array([error.gain for error in errors])
        self._offset = np.array([error.offset for error in errors])
        self._time_base = errors[0].time_base
        self._rng = np.random.default_rng([self._number, zlib.crc32(b"noise"), *[self._noise_seed] * (self._noise_seed > 0)])
        self._phase_s = float(self._rng.uniform(0.0, self._refresh_s))
        self._taken = 0
        self._edges_s = np.zeros(1)
        self._power_w = np.zeros((0, len(RAILS)))
        self._energy_j = np.zeros((1, len(RAILS)))
        self._pending: list[tuple[float, list[float]]] = []
        self._fed_to_s = 0.0
        self._open = True

    def close(self) -> None:
        """End reading; what was fed and not read is dropped."""
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def feed(self, payload: dict) -> None:
        """Take {"intervals": [[start_s, end_s, {rail: watts}], ...]}, each beginning where the one before ended, from 0 on.

        Raises:
            SensorError: not open, not of this shape, or time jumps.
        """
        with self._changed:
            if not self._open:
                raise SensorError(f"sensor {self.url!r} is fed before it is open, or after it was closed")
            try:
                for start_s, end_s, power_w in payload["intervals"]:
                    if start_s != self._fed_to_s or not end_s > start_s:
                        raise SensorError(
                            f"sensor {self.url!r} is fed the interval {start_s} to {end_s} s: it starts where the one before "
                            f"ended, at {self._fed_to_s} s, and has a length"
                        )
                    self._pending.append((end_s, [float(power_w[rail]) for rail in RAILS]))
                    self._fed_to_s = end_s
            except (KeyError, TypeError, ValueError) as error:
                raise SensorError(f"sensor {self.url!r} is fed what is no list of intervals: {error!r}") from None
            self._changed.notify_all()

    def read(self, timeout_s: float = 1.0) -> Readings:
        """Return all rows that the fed intervals allow; with none, wait shortly for more."""
        with self._changed:
            if not self._open:
                raise SensorError(f"sensor {self.url!r} is not open")
            if not self._pending:
                self._changed.wait(min(timeout_s, WAIT_S))
            if not self._pending:
                return Readings.none(len(RAILS))
            self._take_pending()
            return self._sampled()

    def describe(self) -> dict:
        """Return make, model and settings; never how this instrument errs."""
        return {
            "make": "joulegrad", "model": "simulated power monitor", "serial": f"sim-{self._number}", "kind": self._kind,
            "refresh_s": self._refresh_s, "noise": self._noise, "jitter_s": self._jitter_s, "quantum": self._quantum,
        }  # fmt: skip

    def _channel(self, rail: str) -> Channel:
        joules = self._kind == "accumulated"
        specification = Specification(
            gain=GAIN, shunt=SHUNT, offset=0.0 if joules else OFFSET_A * VOLTS[rail], quantum=self._quantum,
            time_base=TIME_BASE if joules else 0.0, full_scale=math.inf if joules else FULL_SCALE_W, source=SOURCE,
        )  # fmt: skip
        return Channel(
            f"{rail}/{'energy' if joules else 'power'}", "J" if joules else "W", rail, SCOPES[rail], self._kind, specification,
            part_of="" if rail == BOARD else BOARD, refresh_s=self._refresh_s,
            averaging_s=self._refresh_s if self._kind == "average" else 0.0, wrap=self._wrap if joules else math.inf,
        )  # fmt: skip

    def _take_pending(self) -> None:
        """Append what was fed to the curve of energy over time."""
        ends_s = np.array([end_s for end_s, _ in self._pending])
        power_w = np.array([power for _, power in self._pending])
        self._pending.clear()
        lengths_s = np.diff(ends_s, prepend=self._edges_s[-1])
        energy_j = self._energy_j[-1] + np.cumsum(power_w * lengths_s[:, None], axis=0)
        self._edges_s = np.concatenate([self._edges_s, ends_s])
        self._power_w = np.concatenate([self._power_w, power_w])
        self._energy_j = np.concatenate([self._energy_j, energy_j])

    def _sampled(self) -> Readings:
        """Return the rows up to the last edge of the curve, and forget the part of the curve that no later row needs."""
        last_s = float(self._edges_s[-1])
        lead_s = self._refresh_s  # a point's jitter never reaches further
        count = max(0, math.floor((last_s - lead_s - self._phase_s) / self._refresh_s) - self._taken)
        moments_s = self._phase_s + self._refresh_s * (1 + self._taken + np.arange(count))
        self._taken += count
        moved_s = np.clip(self._rng.normal(0.0, self._jitter_s, count), -0.4 * self._refresh_s, 0.4 * self._refresh_s)
        stamps_s = moments_s + moved_s
        values = self._true(stamps_s if self._kind == "point" else moments_s) * (1 + self._gain)
        if self._kind == "accumulated":
            values *= 1 + self._time_base
        values += self._offset + self._rng.normal(0.0, self._noise, values.shape)
        if self._quantum:
            values = np.round(values / self._quantum) * self._quantum
        if math.isfinite(self._wrap):
            values %= self._wrap
        self._forget(moments_s[-1] - self._refresh_s if count else -math.inf)
        return Readings.of(stamps_s, values.reshape(count, len(RAILS)))

    def _true(self, moments_s: np.ndarray) -> np.ndarray:
        """Return the true value of every rail, (n, rails), as the kind has it."""
        if self._kind == "point":
            return self._power_w[np.searchsorted(self._edges_s, moments_s, side="left").clip(1) - 1]
        if self._kind == "average":
            return (self._energy_at(moments_s) - self._energy_at(moments_s - self._refresh_s)) / self._refresh_s
        return self._energy_at(moments_s)

    def _energy_at(self, t_s: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(t_s, self._edges_s, column) for column in self._energy_j.T], axis=1)

    def _forget(self, before_s: float) -> None:
        keep = int(np.searchsorted(self._edges_s, before_s, side="right")) - 1
        if keep > 0:
            self._edges_s, self._energy_j, self._power_w = self._edges_s[keep:], self._energy_j[keep:], self._power_w[keep:]


def _number(name: str, text: str, above: float | None = None, finite: bool = True) -> float:
    """Return an option as a number of at least 0, or above `above`. Raises ValueError."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name} {text!r}: a number") from None
    if not (value >= 0 if above is None else value > above) or (finite and math.isinf(value)):
        raise ValueError(f"{name} {text}: a finite number " + ("from 0" if above is None else f"above {above:g}"))
    return value


def found() -> list[Found]:
    """Return the one that is always there."""
    return [Found("sim", "simulated power monitor on the simulated board's rails, on virtual time: " + ", ".join(RAILS))]
