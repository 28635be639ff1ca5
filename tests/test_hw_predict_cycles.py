"""Predicted cycles against the RTL on the simulated board, without random stalls: equal, where nothing is divided."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cycle_programs import CODE, DDR_BYTES, random_program

from algo.export import build_step
from algo.models import digits_network, resnet8
from host.board import open_board
from host.kernel import run_kernel
from hw import isa
from hw import predict_cycles as predictions
from hw.compile import compile_step
from hw.compile_kernel import SEGMENT, compile_kernel
from hw.config import load_config
from hw.cycle_work import works
from hw.predict import predict_counters
from hw.predict_cycles import Memory, predict_cycles
from hw.shapes import shapes
from measurements.ledger_macs import mac_ledger

TINY, Z7020 = load_config("tiny"), load_config("z7020")

KERNELS = (
    ("forward", (2, 16, 16, 10, 10, 3, 1, 1)), ("grad_input", (2, 16, 16, 10, 10, 3, 2, 1)),
    ("grad_input", (2, 16, 16, 10, 10, 3, 1, 1)), ("grad_weight", (2, 8, 8, 6, 6, 3, 1, 1)),
    ("forward", (1, 32, 32, 2, 2, 3, 1, 1)), ("grad_weight", (3, 16, 8, 1, 1, 1, 1, 0)),
    ("grad_weight", (6, 2, 6, 4, 8, 1, 1, 0)), ("grad_weight", (6, 1, 9, 7, 6, 1, 1, 0)),
    ("predictor", (2, 8, 8, 6, 6, 3, 1, 1)), ("predictor", (5, 9, 5, 9, 12, 3, 2, 1)), ("predictor", (2, 3, 5, 7, 8, 5, 2, 2)),
    ("grad_input", (3, 10, 7, 4, 5, 1, 1, 0)), ("forward", (3, 7, 11, 8, 5, 5, 2, 2)),
    ("grad_weight", (2, 3, 5, 7, 8, 5, 2, 2)), ("grad_input", (1, 5, 9, 6, 7, 5, 2, 2)),
)  # fmt: skip


def test_kernels_on_the_rtl():
    """Results exact, all counters as predicted; where weights, few short runs or both ports' turns set the pace, too."""
    with open_board("sim", TINY, ddr_bytes=1 << 20) as board:
        for kind, sizes in KERNELS:
            kernel = compile_kernel(kind, *sizes, TINY)
            run = run_kernel(board, kernel, 60)
            assert run.exact, run.difference
            predicted = predict_counters(kernel.program, SEGMENT, sizes[0], TINY)
            assert predicted == {k: v for k, v in run.counters.items() if k not in isa.TIMING_COUNTERS}
            assert predict_cycles(kernel.program, SEGMENT, sizes[0], TINY) == run.counters["cycles"], (kind, sizes)


@pytest.mark.parametrize("memory", [Memory(), Memory(2.0, 7), Memory(5.3, 150)])
def test_random_programs_on_the_rtl(memory):
    """Engines that meet at scratchpads and tables, and transfers that share what the memory has."""
    settings = {"bytes_per_cycle": memory.bytes_per_cycle, "latency_cycles": memory.latency}
    with open_board("sim", TINY, ddr_bytes=DDR_BYTES, **settings) as board:
        for seed in range(24):
            program = random_program(seed, TINY)
            board.write(0, program.ddr)
            board.start(CODE, len(program.segment))
            cycles = board.wait(60)["cycles"]
            assert predict_cycles(program, SEGMENT, program.images, TINY, memory, program.first_image) == cycles, seed


@pytest.mark.parametrize("memory", [Memory(), Memory(2.0, 7), Memory(5.3, 150)])
def test_cycles_can_be_counted_from_any_one_on(memory):
    """Forgetting what is long past, after every cycle, changes nothing."""
    for seed in range(10):
        program = random_program(seed, TINY)
        instructions = works(shapes(program, SEGMENT, TINY), program.images, program.first_image)
        core, total, left = predictions._Core(TINY, memory), 0, len(instructions)
        while left or not core._queues.empty:
            core._fetch.left = left
            t = 1 if core._cycle(0, instructions[-left] if left else None) else core._next_event(0)
            left, total = core._fetch.left, total + t
            core._rebase(t)
        assert total + 1 == predict_cycles(program, SEGMENT, program.images, TINY, memory, program.first_image), seed


def test_stretches_make_up_the_whole(monkeypatch):
    """Cut behind every instruction, with what was found looked up, a segment takes what it takes in one go."""
    kernels = [compile_kernel(kind, 3, 8, 5, 4, 4, 3, 1, 1, TINY).program for kind in ("forward", "grad_weight")]
    code = kernels[0].code[SEGMENT]
    kernels += [replace(kernels[0], code={SEGMENT: code[:size]}) for size in range(0, len(code), 3 * isa.INSTRUCTION_BYTES)]

    def cycles(stretch):
        monkeypatch.setattr(predictions, "STRETCH", stretch)
        predictions._model.cache_clear()
        found = [predict_cycles(kernel, SEGMENT, images, TINY) for images in range(4) for kernel in kernels]
        return found, len(predictions._model(TINY, Memory())._known)

    (whole, _), (pieces, stretches) = cycles(1 << 20), cycles(1)
    assert whole == pieces
    assert stretches < sum(4 * len(kernel.code[SEGMENT]) // isa.INSTRUCTION_BYTES for kernel in kernels)


def test_a_program_that_never_ends_is_refused():
    program = random_program(0, TINY)
    last = program.segment[-1]
    last.fields["wait"] = last["wait"] | 31 & ~(1 << isa.ENGINES.index(last.op))
    with pytest.raises(ValueError, match="the segment never ends: one instruction waits for a missing token"):
        predict_cycles(program, SEGMENT, program.images, TINY)


@pytest.mark.parametrize("kind, stride, least", [
    ("forward", 1, 0.98), ("grad_input", 1, 0.98), ("grad_weight", 1, 0.96),
    ("forward", 2, 0.95), ("grad_input", 2, 0.93), ("grad_weight", 2, 0.87),
])
def test_share_of_peak_on_z7020(kind, stride, least):
    """The shares that the compiler's tiling and order of issue reach by calculation."""
    kernel = compile_kernel(kind, 4, 64, 64, 16, 16, 3, stride, 1, Z7020)
    cycles = predict_cycles(kernel.program, SEGMENT, 4, Z7020)
    assert kernel.macs / (cycles * Z7020.g**2) >= least


@pytest.mark.parametrize("module, shape, batch, least", [
    (digits_network(0), (1, 8, 8), 32, 0.81), (resnet8(0), (3, 32, 32), 8, 0.89),
], ids=["digits", "ResNet-8"])
def test_share_of_peak_of_a_training_iteration_on_z7020(module, shape, batch, least):
    """What the order of issue reaches with passes, coefficients and updates between the products."""
    step = build_step(module, shape, batch)
    program = compile_step(step, Z7020, {})
    cycles = sum(predict_cycles(program, segment, batch, Z7020) for segment in ("forward", "backward"))
    assert mac_ledger(step, batch).total / (cycles * Z7020.g**2) >= least


def test_a_slower_memory_takes_longer():
    kernel = compile_kernel("forward", 2, 16, 16, 10, 10, 3, 1, 1, TINY)
    times = [predict_cycles(kernel.program, SEGMENT, 2, TINY, Memory(*m)) for m in ((16, 40), (16, 400), (0.05, 40))]
    assert times[0] < times[1] < times[2]
    bytes_moved = sum(kernel.program.memory[name].size for name in ("x", "weight", "result"))
    assert times[2] > bytes_moved / 0.05
