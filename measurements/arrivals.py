"""A meter's own clock without signatures: the line under its arrivals, which a shortest delay nobody knows makes late."""

from __future__ import annotations

import numpy as np

from host.trace import SensorRecord
from measurements.alignment import Alignment
from measurements.lower_envelope import lower_envelope
from measurements.signature_search import AlignmentError

SHORTEST_DELAY_S = 0.02
"""Bound of the delay that even the fastest value has: 1 ms of a USB frame, up to 16 ms in a serial converter, 3 ms for a line at
115200 baud. The line is put half as late, and may be off by the other half."""

RATE_LIMIT = 0.02
LEAST_ROWS = 50


def align_arrivals(record: SensorRecord) -> Alignment | None:
    """Return how a sensor's own clock stands to the host's by its arrivals; None for a sensor without a clock of its own.

    Raises:
        AlignmentError: too few values, or stamps that cannot be seconds.
    """
    known = np.isfinite(record.readings.device_t_s)
    if not len(known) or known.mean() <= 0.9:
        return None
    device, arrival = record.readings.device_t_s[known], record.readings.t_s[known]
    if len(device) < LEAST_ROWS or not device.max() > device.min():
        raise AlignmentError(f"{len(device)} values with the meter's own time do not tell its clock: {LEAST_ROWS} are needed")
    line = lower_envelope(device, arrival)
    if abs(line.rate - 1) > RATE_LIMIT:
        raise AlignmentError(f"the meter's second lasts {line.rate:.4g} s here: its stamps are not in seconds, or damaged")
    return Alignment(
        line.offset_s - SHORTEST_DELAY_S / 2, line.rate, SHORTEST_DELAY_S / 2, "device", "arrivals",
        details={"median_delay_s": line.median_delay_s, "assumed_shortest_delay_s": SHORTEST_DELAY_S},
    )  # fmt: skip
