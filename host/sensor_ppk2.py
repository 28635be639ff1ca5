"""Nordic Power Profiler Kit II through ppk2-api: "ppk2:/dev/ttyACM0?volts=3.3" or "ppk2:<USB serial number>?...".

It measures current only, 200 nA to 1 A at 0.8 to 5 V: enough for a micro-controller, not for an FPGA board. Volts are what
the user states (volts=, with volts_limit=); with mode=source the kit supplies them. average= samples (100) go into a row.
Further options: rail=, scope=, part_of=, gain_limit=, offset_limit=.
"""

from __future__ import annotations

import time

import numpy as np

from host.meter_limits import NOT_STATED, MeterLimits, number, product
from host.port import WRITE_S, found_path
from host.ppk2_words import FULL_SCALE_A, RATE_HZ, Ppk2Words
from host.readings import Loss, Readings
from host.sensor import Found, Sensor, SensorError, SensorLost, Specification

MISSING = "ppk2-api is not installed: pip install 'joulegrad[meters]'"
LOOK_S = 0.005
GATHER_S = 0.05


class Driver(Sensor):
    """A PPK2."""

    def __init__(self, url: str, where: str, mode: str = "ampere", average: str = "100", **options: str):
        super().__init__(url)
        if not where:
            raise ValueError("name its port or USB serial number: ppk2:/dev/ttyACM0")
        if mode not in ("ampere", "source"):
            raise ValueError(f"mode={mode}: 'ampere' measures, 'source' also supplies the volts")
        self._limits, left = MeterLimits.taken(options)
        if left:
            raise TypeError(f"it takes no option {sorted(left)[0]}")
        if self._limits.volts is None or not 0.8 <= self._limits.volts <= 5.0:
            raise ValueError("state volts= of the rail, 0.8 to 5: a PPK2 measures current only")
        self._where, self._mode = where, mode
        self._average = int(number("average", average, 1, RATE_HZ))
        self._kit = self._words = None
        self._kept: list[np.ndarray] = []

    def open(self) -> None:
        """Claim the kit, read its calibration, start it."""
        if self._kit is not None:
            return
        try:
            from ppk2_api.ppk2_api import PPK2_API
        except ImportError:
            raise SensorError(MISSING) from None
        import serial

        path = found_path(self._where)
        try:
            kit = PPK2_API(path, timeout=0, write_timeout=WRITE_S, exclusive=True)
        except (serial.SerialException, OSError, ValueError) as error:
            raise SensorError(f"the PPK2 at {path} cannot be opened, or is in use by another program: {error}") from None
        try:
            kit.stop_measuring()
            time.sleep(0.05)
            kit.get_data()
            if not kit.get_modifiers():
                raise SensorError(
                    f"what is at {path} does not answer with a PPK2's calibration: another device, or a kit that is busy"
                )
            (kit.use_source_meter if self._mode == "source" else kit.use_ampere_meter)()
            kit.set_source_voltage(round(self._limits.volts * 1000))
            if self._mode == "source":
                kit.toggle_DUT_power("ON")
            kit.start_measuring()
        except (serial.SerialException, OSError, UnicodeDecodeError) as error:
            kit.ser.close()
            raise SensorError(f"the PPK2 at {path} does not do as asked: {error}") from None
        except BaseException:
            kit.ser.close()
            raise
        if self._words is None:
            self._words = Ppk2Words(kit.modifiers, kit.adc_mult, self._limits.volts)
            self._set_channels()
        else:
            self._words.restart()
        self._kit, self._path = kit, path

    def _set_channels(self) -> None:
        span_s = self._average / RATE_HZ
        limit_a = Specification(None, full_scale=FULL_SCALE_A, source=f"PPK2: {NOT_STATED}")
        limit_v = Specification(self._limits.volts_limit, source="volts as stated when the sensor was opened")
        watts = product(limit_v, limit_a, self._limits.volts)
        same = {"kind": "average", "refresh_s": span_s, "averaging_s": span_s}
        self.channels = (
            self._limits.channel("current", "A", limit_a, **same),
            self._limits.channel(
                "power",
                "W",
                watts,
                scope=f"{self._limits.scope or self._limits.rail}; current times "
                f"{self._limits.volts:g} V as stated, not measured",
                **same,
            ),
            self._limits.channel("logic", "1", Specification(None), refresh_s=span_s, scope="logic inputs D0 to D7"),
        )

    def close(self) -> None:
        """Stop the kit and free the port. A kit that supplies goes on supplying."""
        kit, self._kit = self._kit, None
        if kit is None:
            return
        try:
            kit.stop_measuring()
        finally:
            kit.ser.close()

    def read(self, timeout_s: float = 1.0) -> Readings:
        """Return the averages that are whole."""
        if self._kit is None:
            raise SensorError(f"sensor {self.url!r} is not open")
        began_s = time.monotonic()
        rows = Readings.none(len(self.channels))
        while not len(rows) and (now_s := time.monotonic()) - began_s < timeout_s:
            time.sleep(min(LOOK_S if now_s - began_s < GATHER_S else GATHER_S, timeout_s))
            rows = self._look()
        return rows

    def _look(self) -> Readings:
        try:
            data = self._kit.get_data()
        except (OSError, TypeError) as error:  # pyserial's errors are OSErrors
            self._kit.ser.close()
            self._kit = None
            self.losses.append(Loss(time.monotonic(), "unplugged", 0, str(error)))
            raise SensorLost(f"sensor {self.url!r} is gone: {error}") from None
        now_s = time.monotonic()
        numbers, amperes, logic, losses = self._words.feed(data, now_s)
        self.losses += losses
        return self._averaged(numbers, amperes, logic, now_s)

    def _averaged(self, numbers: np.ndarray, amperes: np.ndarray, logic: np.ndarray, t_s: float) -> Readings:
        """Return a row for each block of samples that is whole; a block with a hole is left out, and missing in `sequence`."""
        new = np.column_stack([numbers, amperes, logic])
        table = np.concatenate([*self._kept, new]) if self._kept else new
        if not len(table):
            return Readings.none(len(self.channels))
        block = table[:, 0].astype(np.int64) // self._average
        open_from = len(block) if table[-1, 0] % self._average == self._average - 1 else int(np.searchsorted(block, block[-1]))
        self._kept, table, block = [table[open_from:]], table[:open_from], block[:open_from]
        which, first, count = np.unique(block, return_index=True, return_counts=True)
        whole = count == self._average
        if not whole.any():
            return Readings.none(len(self.channels))
        mean = np.add.reduceat(table[:, 1], first)[whole] / self._average
        last = (first + count - 1)[whole]
        values = np.column_stack([mean, mean * self._limits.volts, table[last, 2]])
        return Readings.of(np.full(len(mean), t_s), values, 0.0, (table[last, 0] + 1) / RATE_HZ, which[whole])

    def describe(self) -> dict:
        """Return mode and calibration."""
        return {
            "make": "Nordic Semiconductor",
            "model": "PPK2",
            "serial": "" if "/" in self._where else self._where,
            "mode": self._mode,
            "volts": self._limits.volts,
            "samples_per_row": self._average,
            "port": self._path if self._kit else "",
            "calibration": self._kit.modifiers if self._kit else {},
            "limits": "1 A, 5 V: no FPGA board",
            "drops": "counted modulo 64; a hole of a multiple of 64 samples goes unseen",
        }


def found() -> list[Found]:
    """Return the kits that are plugged in."""
    try:
        from ppk2_api.ppk2_api import PPK2_API
    except ImportError:
        return [Found("ppk2", "Nordic Power Profiler Kit II", MISSING)]
    kits = PPK2_API.list_devices()
    if not kits:
        return [
            Found(
                "ppk2", "Nordic Power Profiler Kit II", "no PPK2 is plugged in (and none can feed an FPGA board: it ends at 1 A)"
            )
        ]
    return [
        Found(f"ppk2:{kit}?volts=3.3", f"Nordic Power Profiler Kit II at {kit}: current up to 1 A, volts as stated")
        for kit in kits
    ]
