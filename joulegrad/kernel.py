"""One product of the array on random operands: exact or not, its cycles, its share of the array's peak."""

from __future__ import annotations

from joulegrad.settings import KernelSettings


def run_kernel(settings: KernelSettings) -> dict:
    """Run the product on the board and compare it with numpy, element by element.

    Returns:
        JSON data: settings, macs, exact, cycles and peak_share (null on a board without a clock), counters.
    """
    from host.board import open_board
    from host.check import first_difference
    from host.runtime import check_identity
    from hw.compile_kernel import compile_kernel
    from hw.config import load_config
    from joulegrad.peak import peak_share

    s = settings
    config = load_config(s.config)
    kernel = compile_kernel(s.kind, s.n, s.c, s.k, s.h, s.w, s.r, s.stride, s.pad, config, s.seed)
    program = kernel.program
    with open_board(s.board, config, **s.stalls.options(s.board)) as board:
        check_identity(board, program)
        board.write(0, program.image())
        counters = {}
        for segment in program.segments.values():
            board.start(segment.address, segment.count)
            counters = board.wait()
        region = program.memory[kernel.result]
        found = program.memory.decode(kernel.result, board.read(region.offset, region.size))
        clk_hz = board.clk_hz
    difference = first_difference({kernel.result: found}, {kernel.result: kernel.expected})
    cycles = counters["cycles"] or None
    return {
        "schema": 1,
        "kernel": s.kind,
        "board": s.board,
        "config": config.name,
        **{name: getattr(s, name) for name in ("n", "c", "k", "h", "w", "r", "stride", "pad", "seed")},
        "stall_probability": s.stalls.probability,
        "exact": difference is None,
        "difference": None if difference is None else str(difference),
        "macs": kernel.macs,
        "cycles": cycles,
        "time_s": cycles / clk_hz if cycles else None,
        "peak_share": peak_share(kernel.macs, cycles, config.g) if cycles else None,
        "counters": counters,
    }
