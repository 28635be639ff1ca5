"""hw/rtl/array_engine.sv with hw/rtl/accumulators.sv equals hw/golden_array.py in sums, maxima and counters."""

from __future__ import annotations


def test_array_engine_equals_golden(run_rtl):
    run_rtl("array_bench", "bench_array", {"G": 4})
