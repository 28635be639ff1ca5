"""hw/rtl/accumulators.sv: read-modify-write, maxima, the vector unit's port and clear, conflicts."""

from __future__ import annotations


def test_accumulators(run_rtl):
    run_rtl("accumulators", "bench_accumulators", {"G": 4, "AccRows": 16})
