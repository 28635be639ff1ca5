"""Edges on a wire that the host drives and the meter watches: the shortest way from one clock to the other."""

from __future__ import annotations

import numpy as np

from host.trace import Trace, windows
from measurements.signature_search import AlignmentError

PIN = "pin"
"""Name of the windows during which the host holds the wire up."""


def pin_edges(trace: Trace, sensor: int = 0) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Return edges on a wire by the meter and by the host, and the distance of the meter's values; None where there are none.

    The host's are the begin and end marks of windows called PIN: the wire goes up and down. The meter's are the changes of a
    channel of unit "1" with its own stamps. Where it shows as many rises as there are windows, it only shows rises.

    Raises:
        AlignmentError: both have edges, but not as many.
    """
    record = trace.sensors[sensor]
    column = next((i for i, channel in enumerate(record.channels) if channel.unit == "1"), None)
    driven = windows(trace, PIN)
    if column is None or not driven:
        return None
    device, level = record.readings.device_t_s, record.readings.values[:, column]
    known = np.isfinite(device) & np.isfinite(level)
    device, level = device[known], level[known]
    changed = np.flatnonzero(np.diff(level) != 0)
    rises = np.flatnonzero(np.diff(level) > 0)
    begins, ends = (np.array([getattr(window, edge) for window in driven]) for edge in ("start_s", "end_s"))
    for at, host in ((changed, np.sort(np.concatenate([begins, ends]))), (rises, begins)):
        if len(at) == len(host):
            # The edge lies between the value that does not show it and the one that does.
            return (device[at] + device[at + 1]) / 2, host, float(np.max(device[at + 1] - device[at]))
    raise AlignmentError(f"the meter saw {len(changed)} edges on its wire ({len(rises)} up), the host made {2 * len(driven)} "
                         f"({len(driven)} up): they cannot be paired, look for a bad contact")
