"""Runs one product on a board: is it exact, does it count what was predicted, what share of the array's peak is reached."""

from __future__ import annotations

from dataclasses import dataclass

from host.board import Board
from host.check import Difference, first_difference
from host.predictions import Predictions
from host.runtime import check_identity
from hw.compile import CLEAR
from hw.compile_kernel import SEGMENT, Kernel


@dataclass(frozen=True)
class KernelRun:
    """One product as it ran.

    Attributes:
        difference: first element that is wrong, None when the result is exact.
        counters: of the segment; `cycles` is 0 on a board without a clock.
        activity: signal activity of the segment.
        macs: n k c oh ow r r.
        peak_share: macs / (cycles G G), int8's peak: a predictor's few bits may pass it; None on a board without a clock.
        counter_difference: the first counter that is not as predicted, in words; None when all but the timing ones are.
        predicted_cycles: with the simulated board's memory and no random stalls.
    """

    difference: Difference | None
    counters: dict[str, int]
    activity: dict[str, int]
    macs: int
    peak_share: float | None
    counter_difference: str | None
    predicted_cycles: int

    @property
    def exact(self) -> bool:
        """Whether every element of the result is right."""
        return self.difference is None


def run_kernel(board: Board, kernel: Kernel, timeout_s: float | None = None) -> KernelRun:
    """Write a kernel's operands, run it cold, and compare its result.

    Raises:
        BoardError: another configuration, too little DDR, an error or timeout of the core.
    """
    program = kernel.program
    check_identity(board, program)
    board.write(0, program.image())
    for name in (CLEAR, SEGMENT):
        board.start(program.segments[name].address, program.segments[name].count)
        counters = board.wait(timeout_s)
    region = program.memory[kernel.result]
    result = program.memory.decode(kernel.result, board.read(region.offset, region.size))
    cycles, g = counters["cycles"], board.config.g
    predictions = Predictions(program, board.config)
    return KernelRun(
        difference=first_difference({kernel.result: result}, {kernel.result: kernel.expected}),
        counters=counters,
        activity=board.activity(),
        macs=kernel.macs,
        peak_share=kernel.macs / (cycles * g * g) if cycles else None,
        counter_difference=predictions.difference(SEGMENT, kernel.images, counters),
        predicted_cycles=predictions.cycles(SEGMENT, kernel.images),
    )
