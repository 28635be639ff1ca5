"""hw/rtl/activity.sv counts the bits that change on the array's operands and products."""

from __future__ import annotations


def test_activity(run_rtl):
    run_rtl("activity", "bench_activity", {"G": 4})
