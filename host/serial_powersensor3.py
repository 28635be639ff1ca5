"""PowerSensor3: eight 10-bit converters, 20,000 times a second, in packets of two bytes.

A packet is 1 sss llll, 0 m llllll: sensor, level, marker. A group is a time stamp (sensor 7 with the marker bit, the lowest
ten bits of a microsecond clock) and the sensors in order. Pairs of sensors are amperes and volts of a rail, with reference
voltage and sensitivity in the device's memory. There is no sequence number: what is missing is told from the time stamps,
which wrap every 1.024 ms, so that a long hole is found and measured with the host's clock and its count is near, not exact.
"""

from __future__ import annotations

import math
import struct
import time
from dataclasses import dataclass

import numpy as np

from host.meter_limits import NOT_STATED, MeterLimits, product
from host.meter_protocol import Pieces, Port, StreamProtocol, arrivals, shown
from host.readings import Loss, Readings
from host.sensor import SensorError, Specification

SENSORS = 8
REFERENCE_V, TOP_LEVEL = 3.3, 1023
PERIOD_US = 50
"""Between two groups; each level is the mean of six conversions in it."""

STAMP = SENSORS
"""Stands for a time stamp where sensors are numbered."""

STAMP_TURN_US = 1024
ANSWER_S = 4.0
"""It answers at once; a computer may stand still for seconds."""

CATCH_UP_S, HELD_GROUPS = 0.5, 1 << 16
"""Groups behind a hole are held until they arrive no faster than they are made, so long and so many at most."""

GROUP_BYTES = 2 * (SENSORS + 1)
CONFIGURATION = struct.Struct("<16s16sff?")
SOURCE = f"PowerSensor3: {NOT_STATED}"


@dataclass(frozen=True)
class Sensor:
    """One converter: value = (volts at the converter - reference_v) / sensitivity, in V or A."""

    type: str
    pair: str
    reference_v: float
    sensitivity: float
    in_use: bool

    @classmethod
    def unpacked(cls, data: bytes) -> Sensor:
        """Return the sensor in 41 bytes of the device's memory. Raises ValueError."""
        kind, pair, reference_v, sensitivity, in_use = CONFIGURATION.unpack(data)
        if not (np.isfinite(reference_v) and np.isfinite(sensitivity)) or (in_use and sensitivity == 0):
            raise ValueError(f"reference {reference_v:g} V and sensitivity {sensitivity:g}")
        words = [part.split(b"\0")[0].decode("ascii", "replace") for part in (kind, pair)]
        return cls(*words, reference_v, sensitivity, bool(in_use))

    def packed(self) -> bytes:
        """Return the bytes of the device's memory."""
        return CONFIGURATION.pack(self.type.encode(), self.pair.encode(), self.reference_v, self.sensitivity, self.in_use)

    def value(self, level: np.ndarray) -> np.ndarray:
        """Return what levels mean."""
        return (REFERENCE_V * level / TOP_LEVEL - self.reference_v) / self.sensitivity

    def specification(self) -> Specification:
        """Return what is known of its errors: step and range."""
        ends = np.abs(self.value(np.array([0.0, TOP_LEVEL])))
        return Specification(
            None, 0.0, abs(REFERENCE_V / TOP_LEVEL / self.sensitivity), 0.0, 0.0, float(ends[ends > 0].min()), SOURCE
        )


class Protocol(StreamProtocol):
    """The host's side."""

    def __init__(self, limits: MeterLimits):
        super().__init__(limits)
        self._sensors: list[Sensor] = []
        self._version, self._pattern = "", np.array([STAMP, *range(SENSORS)])
        self._tail, self._skipped = b"", False
        self._clock = StampClock()
        self._held: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def begin(self, port: Port) -> None:
        """Stop a stream that runs, read version and configuration, start the stream."""
        port.write(b"T")
        time.sleep(0.05)
        self._drain(port)
        port.write(b"V")
        self._version = self._answer(port, 64, b"\n").decode("ascii", "replace").strip()
        port.write(b"R")
        sensors = []
        for _ in range(SENSORS):
            sensors.append(self._sensor(self._answer(port, CONFIGURATION.size)))
            port.write(b"s")
        if self._answer(port, 1) != b"D":
            raise SensorError("the PowerSensor3 did not end its configuration with 'D': another firmware, or no PowerSensor3")
        if self._sensors and sensors != self._sensors:
            raise SensorError("the PowerSensor3 that is there now is configured differently: open it anew")
        self._sensors = sensors
        port.write(b"S")
        self._learn(port)

    def end(self, port: Port) -> None:
        """Stop the stream."""
        port.write(b"T")

    def _drain(self, port: Port) -> None:
        ends_s = time.monotonic() + 1.0
        while port.receive(0.1) and time.monotonic() < ends_s:
            pass

    def _answer(self, port: Port, length: int, ending: bytes = b"") -> bytes:
        data, ends_s = b"", time.monotonic() + ANSWER_S
        while len(data) < length and not (ending and data.endswith(ending)):
            got = port.receive(ends_s - time.monotonic())
            if not got:
                raise SensorError(
                    f"the meter does not answer as a PowerSensor3 does ({shown(data) if data else 'nothing came'}): "
                    "another meter, or one that is busy; protocol= says which"
                )
            data += got
        return data

    def _sensor(self, data: bytes) -> Sensor:
        try:
            return Sensor.unpacked(data)
        except (ValueError, struct.error) as error:
            raise SensorError(f"the PowerSensor3's configuration cannot be used ({error}): set it with psconfig") from None

    def _learn(self, port: Port) -> None:
        """See from the first groups whether all sensors are sent or those in use, and the volts; then set the channels."""
        used = [i for i, sensor in enumerate(self._sensors) if sensor.in_use]
        self._pairs = [(i, i + 1) for i in range(0, SENSORS, 2) if i in used and i + 1 in used]
        if not self._pairs:
            raise SensorError("no pair of sensors of the PowerSensor3 is in use: set them with psconfig")
        data, ends_s = b"", time.monotonic() + ANSWER_S
        while len(data) < 20 * GROUP_BYTES:
            got = port.receive(ends_s - time.monotonic())
            if not got:
                raise SensorError("the PowerSensor3 was started and sends nothing")
            data += got
        found = []
        for pattern in (np.array([STAMP, *range(SENSORS)]), np.array([STAMP, *used])):
            kinds, levels, _, _ = _packets(np.frombuffer(data, np.uint8))
            found.append((len(_groups(kinds, pattern)[0]), pattern, kinds, levels))
        groups, self._pattern, kinds, levels = max(found, key=lambda each: each[0])
        if groups < 5:
            raise SensorError(f"{len(data)} bytes came and no PowerSensor3 groups among them ({shown(data)}): another protocol")
        starts = _groups(kinds, self._pattern)[0]
        self._set_channels(levels[starts[:, None] + np.arange(len(self._pattern))].mean(0))

    def _set_channels(self, level: np.ndarray) -> None:
        channels, span_s = [], PERIOD_US * 1e-6
        same = {"kind": "average", "refresh_s": span_s, "averaging_s": span_s}
        for amperes, volts in self._pairs:
            sensors = self._sensors[amperes], self._sensors[volts]
            rail = sensors[0].pair or sensors[1].pair or f"pair {amperes // 2}"
            if len(self._pairs) == 1 and self.limits.rail != MeterLimits.rail:
                rail = self.limits.rail
            if any(channel.rail == rail for channel in channels):
                rail = f"{rail} {amperes // 2}"
            limits = sensors[0].specification(), sensors[1].specification()
            found_v = float(sensors[1].value(level[self._pattern == volts][0]))
            channels.append(self.limits.channel("current", "A", limits[0], rail=rail, **same))
            channels.append(self.limits.channel("voltage", "V", limits[1], rail=rail, **same))
            watts = product(limits[1], limits[0], self.limits.volts or (found_v if found_v > 0.1 else None))
            channels.append(self.limits.channel("power", "W", watts, rail=rail, **same))
        channels.append(self.limits.channel("marker", "1", Specification(None), refresh_s=span_s, scope="marker bit"))
        self.channels = tuple(channels)

    def restart(self) -> None:
        """Begin a new segment."""
        self._tail, self._skipped, self._held = b"", False, []
        self._clock.restart()

    def describe(self) -> dict:
        """Return version and configuration."""
        return {
            "make": "ASTRON",
            "model": "PowerSensor3",
            "firmware": self._version,
            "sensors": [vars(sensor) for sensor in self._sensors],
            "drops": "from time stamps of 10 bits: exact in a hole below 1 ms, near in a longer one",
        }

    def mark_request(self, name: str) -> bytes:
        """Return what sets the marker bit of the next group."""
        return b"M"

    def feed(self, pieces: Pieces) -> tuple[Readings, list[Loss]]:
        """Take bytes, return the groups that are whole."""
        if not pieces:
            return Readings.none(len(self.channels)), []
        before, now_s = len(self._tail), pieces[-1][1]
        data = np.frombuffer(self._tail + b"".join(piece for piece, _ in pieces), np.uint8)
        kinds, levels, markers, at = _packets(data)
        starts, rest = _groups(kinds, self._pattern)
        # What follows the last time stamp may still become a group; a longer tail cannot.
        keep = int(at[rest]) if rest < len(at) else len(data) - (1 if len(data) and data[-1] & 0x80 else 0)
        self._tail = data[keep:].tobytes()
        garbage = keep - 2 * len(starts) * len(self._pattern)
        if len(starts) and not self._skipped:  # half a group, as the stream was entered in its midst
            garbage, self._skipped = garbage - int(at[starts[0]]), True
        places = starts[:, None] + np.arange(len(self._pattern))
        last = at[starts + len(self._pattern) - 1] + 1 if len(starts) else np.zeros(0, np.int64)
        arrival_s = arrivals(pieces, before, last)
        stamps = levels[starts] if len(starts) else np.zeros(0, np.int64)
        self._held.append((stamps, arrival_s, self._values(levels[places], markers[places])))
        lost = self._judge(len(starts), garbage, data[:24].tobytes(), now_s)
        stamps, arrival_s, values = (np.concatenate(parts) for parts in zip(*self._held, strict=True))
        told = self._clock.add(stamps, arrival_s)
        if told is None:
            return Readings.none(len(self.channels)), lost
        self._held = []
        device_s, sequence, losses = told
        return Readings.of(arrival_s, values, 0.0, device_s, sequence), losses + lost

    def _values(self, levels: np.ndarray, markers: np.ndarray) -> np.ndarray:
        columns = []
        for amperes, volts in self._pairs:
            current = self._sensors[amperes].value(levels[:, self._pattern == amperes][:, 0])
            voltage = self._sensors[volts].value(levels[:, self._pattern == volts][:, 0])
            columns += [current, voltage, current * voltage]
        return np.column_stack([*columns, markers[:, 1:].any(1)])


class StampClock:
    """Undoes the wraps of 10-bit time stamps, and numbers the groups."""

    TOLERANCE_US = 2
    UNSEEN_US = 2 * STAMP_TURN_US
    """A hole of whole turns, or all but, leaves stamps 50 us apart; groups that stay later than this tell of it."""

    DRIFT = 1e-3
    """The clocks differ by less: crystals by 1e-4, and the host's may be slewed by 5e-4."""

    def __init__(self):
        self._last_us = self._whole_us = self._number = 0
        self._arrival_s, self._offset_s, self._started = 0.0, 0.0, False
        self._late_us = math.inf
        self._begun: list[Loss] = []

    def restart(self) -> None:
        """The next group begins a new segment."""
        self._started, self._late_us = False, math.inf

    def add(self, stamp_us: np.ndarray, arrival_s: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[Loss]] | None:
        """Return device times and numbers of groups, float64 and int64 (n,), and what is missing between them.

        Behind a hole groups arrive late while what was buffered is worked off, and only then the host's clock tells how long
        it was. Until then the answer is None: the groups are to be given again, with those that follow.
        """
        if not len(stamp_us):
            return np.zeros(0), np.zeros(0, np.int64), []
        if not self._started:
            self._begin(int(stamp_us[0]), float(arrival_s[0]))
        step = np.diff(stamp_us, prepend=self._last_us) % STAMP_TURN_US
        first = 1 if self._arrival_s == 0.0 else 0
        step[:first] = 0
        holes = np.flatnonzero(np.abs(step[first:] - PERIOD_US) > self.TOLERANCE_US) + first
        found = self._turns(holes, self._whole_us + np.cumsum(step), arrival_s)
        if found is None:
            return None
        holes, turns = found
        missing = np.zeros(len(step), np.int64)
        losses, self._begun = self._begun, []
        for n, i in enumerate(holes):
            step[i] += turns * STAMP_TURN_US if n == 0 else 0
            missing[i] = max(0, round(step[i] / PERIOD_US) - 1)
            if missing[i]:
                near = "about " if turns and n == 0 else ""
                text = f"{near}{missing[i]} groups: the time stamps jump by {step[i] / 1000:.3f} ms"
                losses.append(Loss(float(arrival_s[i]), "dropped", int(missing[i]), text))
        whole = self._whole_us + np.cumsum(step)
        number = self._number + np.cumsum(1 + missing) - first
        drifted_s = self.DRIFT * (arrival_s[-1] - self._arrival_s if self._arrival_s else 0.0)
        self._offset_s = min(self._offset_s + drifted_s, float((arrival_s - whole * 1e-6).min()))
        self._last_us, self._whole_us, self._number = int(stamp_us[-1]), int(whole[-1]), int(number[-1])
        self._arrival_s, self._late_us = float(arrival_s[-1]), math.inf
        return whole * 1e-6, number, losses

    def _begin(self, stamp_us: int, t_s: float) -> None:
        if self._arrival_s:  # a stream that was broken off: the clock goes on by what the host's says
            self._whole_us += max(PERIOD_US, round((t_s - self._arrival_s) * 1e6)) - PERIOD_US
            text = "the stream was started anew: how many rows are missing cannot be known"
            self._begun.append(Loss(t_s, "counter reset", 0, text))
        else:
            self._whole_us, self._number = stamp_us, 0
        self._last_us = (stamp_us - (PERIOD_US if self._arrival_s else 0)) % STAMP_TURN_US
        self._offset_s, self._started = t_s - self._whole_us * 1e-6, True

    def _turns(self, holes: np.ndarray, whole_us: np.ndarray, arrival_s: np.ndarray) -> tuple[np.ndarray, int] | None:
        """Return the holes and how many turns the stamps have made unseen in them, None while the groups still catch up."""
        behind = (arrival_s - self._offset_s) * 1e6 - whole_us
        seen = len(holes) > 0
        recent = arrival_s > arrival_s[-1] - CATCH_UP_S / 10
        if seen:
            recent[: holes[-1]] = False
        late_us, before_us = float(behind[recent].min()), self._late_us
        if late_us < (STAMP_TURN_US if seen else self.UNSEEN_US):
            return holes, 0
        caught_up = seen and before_us < math.inf and late_us > before_us - 2 * STAMP_TURN_US
        if not caught_up and len(behind) <= HELD_GROUPS and arrival_s[-1] - arrival_s[holes[0] if seen else 0] <= CATCH_UP_S:
            self._late_us = late_us
            return None
        if not seen:
            # What was buffered before the hole is worked off where groups are first no later than those that follow.
            holes = np.flatnonzero(behind < late_us + STAMP_TURN_US)[:1]
        return holes, round(late_us / STAMP_TURN_US)


def _packets(data: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return kinds (sensor, or STAMP), levels, marker bits and places of the packets in bytes.

    A packet is a byte with the top bit and one without; after a lost byte this finds the next packet by itself.
    """
    top = data >= 0x80
    at = np.flatnonzero(top[:-1] & ~top[1:]) if len(data) else np.zeros(0, np.int64)
    high, low = data[at].astype(np.int64), data[at + 1].astype(np.int64) if len(at) else np.zeros(0, np.int64)
    kinds, markers = high >> 4 & 7, low >> 6 & 1
    kinds = np.where((kinds == SENSORS - 1) & (markers == 1), STAMP, kinds)
    return kinds, (high & 15) << 6 | low & 63, markers, at


def _groups(kinds: np.ndarray, pattern: np.ndarray) -> tuple[np.ndarray, int]:
    """Return where whole groups begin, and the packet from which on a group may still be incomplete."""
    stamps, length = np.flatnonzero(kinds == STAMP), len(pattern)
    whole = stamps[stamps + length <= len(kinds)]
    good = whole[(kinds[whole[:, None] + np.arange(length)] == pattern).all(1)]
    rest = len(kinds)
    if len(stamps) and stamps[-1] + length > len(kinds) and (kinds[stamps[-1] :] == pattern[: len(kinds) - stamps[-1]]).all():
        rest = int(stamps[-1])
    return good, rest


def encode_groups(time_us: np.ndarray, levels: np.ndarray, marker: np.ndarray) -> bytes:
    """Return groups as the device sends them.

    Args:
        time_us: int64 (n,).
        levels: int64 (n, 8), 0 to 1023.
        marker: bool (n,), set in sensor 0.
    """
    value = np.column_stack([time_us % STAMP_TURN_US, levels]).astype(np.int64)
    kind = np.array([SENSORS - 1, *range(SENSORS)])
    flag = np.zeros_like(value)
    flag[:, 0], flag[:, 1] = 1, marker
    packets = np.stack([0x80 | kind << 4 | value >> 6, flag << 6 | value & 63], axis=2)
    return packets.astype(np.uint8).tobytes()
