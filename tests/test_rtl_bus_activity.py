"""hw/rtl/bus_activity.sv counts the bits that change on a bus."""

from __future__ import annotations


def test_bus_activity(run_rtl):
    run_rtl("bus_activity", "bench_bus_activity", {"Width": 40})
