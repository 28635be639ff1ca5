"""SCPI instruments through pyvisa (pyvisa-py, no vendor's library needed): "visa:TCPIP::192.168.1.20::INSTR".

Options: output= (CH1 where the instrument has several), period_s= (0.1), backend= (@py), rail=, scope=, part_of=,
gain_limit=, offset_limit=, volts=. The read-back accuracy is the instrument's and is stated by the user.
"""

from __future__ import annotations

import time
import warnings

import numpy as np

from host.meter_limits import MeterLimits, number
from host.readings import Loss, Readings
from host.scpi_meter import IDENTITY, QUANTITIES, ScpiMeter
from host.sensor import Found, Sensor, SensorError, SensorLost

MOST_LATE = 100
"""Answers that may have waited behind one that did not come in time."""

MISSING = "pyvisa with pyvisa-py is not installed: pip install 'joulegrad[meters]'"


class Driver(Sensor):
    """An instrument behind VISA."""

    def __init__(self, url: str, where: str, output: str = "", period_s: str = "0.1", backend: str = "@py", **options: str):
        super().__init__(url)
        if not where:
            raise ValueError("name the resource: visa:TCPIP::192.168.1.20::INSTR, visa:USB0::0x1AB1::0x0E11::DP8A::INSTR")
        limits, left = MeterLimits.taken(options)
        if left:
            raise TypeError(f"it takes no option {sorted(left)[0]}")
        self._where, self._backend = where, backend
        self.period_s = number("period_s", period_s, 1e-3, 3600)
        self._meter = ScpiMeter(limits, output)
        self._manager = self._instrument = None
        self._behind = False

    def open(self) -> None:
        """Open the resource, ask for identity and a first row."""
        if self._instrument is not None:
            return
        try:
            import pyvisa
        except ImportError:
            raise SensorError(MISSING) from None
        self._errors = pyvisa.errors
        try:
            self._manager = pyvisa.ResourceManager(self._backend)
            self._instrument = self._manager.open_resource(self._where)
            self._instrument.timeout = 2000
            self._instrument.read_termination = self._instrument.write_termination = "\n"
            identity = self._instrument.query(IDENTITY).strip()
            first = {name: self._first(name) for name in QUANTITIES}
            channels = self._meter.settle(identity, first["VOLT"] or "", first["CURR"] or "", first["POW"], self.period_s)
        except (pyvisa.errors.Error, OSError, ValueError) as error:
            self.close()
            raise SensorError(f"the instrument at {self._where} cannot be used: {error}") from None
        self.channels, self._behind = self.channels or channels, False

    def _first(self, quantity: str) -> str | None:
        try:
            return self._instrument.query(self._meter.request(quantity)).strip()
        except self._errors.VisaIOError as error:
            if quantity == "POW" and self._timed_out(error):
                self._instrument.clear()
                return None
            raise

    def close(self) -> None:
        """Free the resource."""
        held, self._instrument, self._manager = (self._instrument, self._manager), None, None
        for each in held:
            if each is not None:
                try:
                    each.close()
                except (self._errors.Error, OSError):
                    pass  # it is gone already

    def read(self, timeout_s: float = 1.0) -> Readings:
        """Return one row, stamped at the midpoint of its questions."""
        if self._instrument is None:
            raise SensorError(f"sensor {self.url!r} is not open")
        self._instrument.timeout = max(1, int(timeout_s * 1000))
        started_s = time.monotonic()
        values, why, failed = np.full(len(self.channels), np.nan), [], ""
        try:
            self._catch_up()
            values, why = self._meter.values([self._instrument.query(request) for request in self._meter.requests])
        except (self._errors.Error, OSError) as error:
            if not self._timed_out(error):
                self.losses.append(Loss(time.monotonic(), "unplugged", 0, str(error)))
                self.close()
                raise SensorLost(f"sensor {self.url!r} is gone: {error}") from None
            failed = f"no answer in {timeout_s:g} s"
        except ValueError as error:
            failed = str(error)
        self._behind = bool(failed)
        ended_s = time.monotonic()
        t_s = (started_s + ended_s) / 2
        self.losses += [Loss(t_s, "failed read", 1, failed)] if failed else [Loss(t_s, "rejected", 1, reason) for reason in why]
        return Readings.of(t_s, [values], width_s=ended_s - started_s)

    def _catch_up(self) -> None:
        """Drop answers that come late, and would be taken for those to the next questions: the identity's has to be the last."""
        if not self._behind:
            return
        self._instrument.write(IDENTITY)
        last = ""
        try:
            for _ in range(MOST_LATE):
                last = self._instrument.read().strip()
        except self._errors.VisaIOError as error:
            if not self._timed_out(error) or last != self._meter.identity:
                raise
        else:
            raise ValueError(f"{MOST_LATE} answers came and no end of them")

    def _timed_out(self, error: Exception) -> bool:
        import pyvisa.constants

        return getattr(error, "error_code", None) == pyvisa.constants.StatusCode.error_timeout

    def describe(self) -> dict:
        """Return what the identity says."""
        return {**self._meter.describe(), "resource": self._where}


def found() -> list[Found]:
    """Return the instruments that pyvisa lists; those in the network have to be named."""
    try:
        import pyvisa
    except ImportError:
        return [Found("visa", "SCPI instruments through VISA", MISSING)]
    try:
        manager = pyvisa.ResourceManager("@py")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # searches in the network want further packages
            names = [name for name in manager.list_resources() if not name.startswith("ASRL")]
        manager.close()
    except (pyvisa.errors.Error, OSError, ValueError) as error:
        return [Found("visa", "SCPI instruments through VISA", f"pyvisa lists nothing: {error}")]
    if not names:
        return [
            Found(
                "visa",
                "SCPI instruments through VISA",
                "none is plugged in; one in the network is named by its address: visa:TCPIP::<address>::INSTR",
            )
        ]
    return [Found(f"visa:{name}", f"VISA instrument {name}") for name in names]
