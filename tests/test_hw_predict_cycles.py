"""Predicted cycles against the RTL on the simulated board, within 1 % on kernels, without random stalls."""

from __future__ import annotations

import pytest

from host.board import open_board
from host.kernel import run_kernel
from hw import isa
from hw.compile_kernel import SEGMENT, compile_kernel
from hw.config import load_config
from hw.predict import predict_counters
from hw.predict_cycles import Memory, predict_cycles
from hw.read_ports import ReadPorts

TINY, Z7020 = load_config("tiny"), load_config("z7020")


def test_kernels_on_the_rtl():
    """Exact, all counters as predicted, cycles within 1 %; also where weights or few short runs set the pace."""
    with open_board("sim", TINY, ddr_bytes=1 << 20) as board:
        for kind, sizes in (
            ("forward", (2, 16, 16, 10, 10, 3, 1, 1)), ("grad_input", (2, 16, 16, 10, 10, 3, 2, 1)),
            ("grad_input", (2, 16, 16, 10, 10, 3, 1, 1)), ("grad_weight", (2, 8, 8, 6, 6, 3, 1, 1)),
            ("forward", (1, 32, 32, 2, 2, 3, 1, 1)), ("grad_weight", (3, 16, 8, 1, 1, 1, 1, 0)),
        ):
            kernel = compile_kernel(kind, *sizes, TINY)
            run = run_kernel(board, kernel, 60)
            assert run.exact, run.difference
            predicted = predict_counters(kernel.program, SEGMENT, sizes[0], TINY)
            assert predicted == {k: v for k, v in run.counters.items() if k not in isa.TIMING_COUNTERS}
            cycles = predict_cycles(kernel.program, SEGMENT, sizes[0], TINY)
            assert abs(cycles / run.counters["cycles"] - 1) < 0.01


@pytest.mark.parametrize("kind, stride, least", [
    ("forward", 1, 0.97), ("grad_input", 1, 0.97), ("grad_weight", 1, 0.95),
    ("forward", 2, 0.93), ("grad_input", 2, 0.92), ("grad_weight", 2, 0.86),
])
def test_share_of_peak_on_z7020(kind, stride, least):
    """The shares that the compiler's tiling and order of issue reach by calculation."""
    kernel = compile_kernel(kind, 4, 64, 64, 16, 16, 3, stride, 1, Z7020)
    cycles = predict_cycles(kernel.program, SEGMENT, 4, Z7020)
    assert kernel.macs / (cycles * Z7020.g**2) >= least


def test_a_slower_memory_takes_longer():
    kernel = compile_kernel("forward", 2, 16, 16, 10, 10, 3, 1, 1, TINY)
    times = [predict_cycles(kernel.program, SEGMENT, 2, TINY, Memory(*m)) for m in ((16, 40), (16, 400), (0.05, 40))]
    assert times[0] < times[1] < times[2]
    bytes_moved = sum(kernel.program.memory[name].size for name in ("x", "weight", "result"))
    assert times[2] > bytes_moved / 0.05


def test_a_later_load_overtakes_on_the_other_port():
    """Runs of one stripe at every second stripe use one port; the load behind them streams on the other one meanwhile."""
    reads, now = ReadPorts(Z7020, 40), 0.0
    reads.load(0, iter([(0, 128), (256, 128), (512, 128)]))
    reads.load(1, iter([(128, 128)]))
    while reads.left[1]:
        reads.ask(now)
        rates = reads.rates(now, 16)
        following = reads.next_event(now, rates)
        reads.advance(following - now, rates)
        now = following
    assert reads.left[0] == 2
