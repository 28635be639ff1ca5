"""`joulegrad kernel`: one product of the array on random operands, as JSON data."""

from __future__ import annotations

from joulegrad.settings import KernelSettings


def run(settings: KernelSettings) -> dict:
    """Run the product on the board and compare it with an independent reference, element by element.

    Returns:
        JSON data: settings, macs, exact, cycles and peak_share (null on a board without a clock), predicted_cycles
        (of the simulated board without random stalls), counters, counters_exact: whether all but the timing ones are as
        predicted.
    """
    from host.board import open_board
    from host.kernel import run_kernel
    from hw.compile_kernel import compile_kernel
    from hw.config import load_config

    s = settings
    config = load_config(s.config)
    kernel = compile_kernel(s.kind, s.n, s.c, s.k, s.h, s.w, s.r, s.stride, s.pad, config, s.seed)
    with open_board(s.board, config, **s.stalls.options(s.board)) as board:
        done = run_kernel(board, kernel)
        clk_hz = board.clk_hz
    cycles = done.counters["cycles"] or None
    return {
        "schema": 1,
        "kernel": s.kind,
        "board": s.board,
        "config": config.name,
        **{name: getattr(s, name) for name in ("n", "c", "k", "h", "w", "r", "stride", "pad", "seed")},
        "stall_probability": s.stalls.probability,
        "exact": done.exact,
        "difference": None if done.exact else str(done.difference),
        "macs": done.macs,
        "cycles": cycles,
        "predicted_cycles": done.predicted_cycles,
        "time_s": cycles / clk_hz if cycles else None,
        "peak_share": done.peak_share,
        "counters_exact": done.counter_difference is None,
        "counter_difference": done.counter_difference,
        "counters": done.counters,
    }
