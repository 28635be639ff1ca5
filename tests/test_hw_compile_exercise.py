"""Exercises and operand statistics: the simulated core and the golden model agree, each keeps its one part busy."""

from __future__ import annotations

import numpy as np
import pytest

from host.board import open_board
from hw import isa
from hw.compile import CLEAR
from hw.compile_exercise import DATA, KINDS, PASSES, RESULT, TRANSFERS, compile_exercise
from hw.compile_kernel import SEGMENT, compile_kernel
from hw.config import load_config
from hw.operands import STATISTICS, STD, draw
from hw.scratchpad import CompileError

TINY = load_config("tiny")


def run(board, program):
    board.write(0, program.image())
    for name in (CLEAR, SEGMENT):
        board.start(program.segments[name].address, program.segments[name].count)
        counters = board.wait()
    return counters, board.read(0, program.ddr_bytes)


@pytest.fixture(scope="module")
def boards():
    with open_board("sim", TINY, ddr_bytes=1 << 20) as sim, open_board("golden", TINY, ddr_bytes=1 << 20) as golden:
        yield sim, golden


@pytest.mark.parametrize("kind", KINDS)
def test_simulated_core_and_golden_model_agree(kind, boards):
    program = compile_exercise(kind, 4, TINY, seed=3)
    (counters, ddr), (expected, expected_ddr) = (run(board, program) for board in boards)
    assert np.array_equal(ddr, expected_ddr)
    assert {n: counters[n] for n in expected if n not in isa.TIMING_COUNTERS} == {
        n: v for n, v in expected.items() if n not in isa.TIMING_COUNTERS}


@pytest.mark.parametrize("kind", KINDS)
def test_one_part_is_busy_and_the_array_rests(kind, boards):
    few, many = (run(boards[0], compile_exercise(kind, times, TINY))[0] for times in (4, 12))
    assert many["macs_int8"] == many["slots_forward"] == 0
    moved = {name: (many[name] - few[name]) / 8 for name in ("ddr_read_bytes", "ddr_write_bytes", "vectors", "cycles")}
    if kind in TRANSFERS:
        assert moved["vectors"] == 0
        assert moved["ddr_read_bytes"] + moved["ddr_write_bytes"] > 0.8 * 4 * moved["cycles"]
    else:
        assert kind in PASSES and moved["ddr_write_bytes"] == 0
        assert moved["ddr_read_bytes"] == isa.INSTRUCTION_BYTES
        assert moved["vectors"] > 0.8 * moved["cycles"] / (4 if kind == "update" else 1)


def test_what_they_compute(boards):
    program = compile_exercise("copy", 4, TINY, seed=1)
    _, ddr = run(boards[1], program)
    data, result = (program.memory.read(ddr, name) for name in (DATA, RESULT))
    assert np.array_equal(data, result) and data.std() > 60
    program = compile_exercise("add", 1, TINY, seed=1)
    _, ddr = run(boards[1], program)
    data, result = (program.memory.read(ddr, name)[0, :, :, 0].astype(int) for name in (DATA, RESULT))
    words = TINY.vector_words
    assert np.array_equal(result[:, :words], np.maximum((data[:, :words] + data[:, words:] + 1) >> 1, 0))


@pytest.mark.parametrize(("arguments", "said"), [(("paint", 1), "no exercise is called 'paint'"), (("read", 0), "at least 1")])
def test_impossible_exercises(arguments, said):
    with pytest.raises(CompileError, match=said):
        compile_exercise(*arguments, TINY)


def test_statistics_are_what_they_say():
    rng = np.random.default_rng(0)
    drawn = {name: draw(name, (8, 8, 32, 32), rng).astype(int) for name in STATISTICS}
    for name, values in drawn.items():
        assert abs(values).max() <= 127 and values.std() == pytest.approx(STD[name], rel=0.03)
    assert np.mean(drawn["sparse"] == 0) == pytest.approx(0.75, abs=0.01)
    assert abs(drawn["small"]).max() == 7
    assert np.mean(drawn["quiet"][..., 1:] == drawn["quiet"][..., :-1]) > 0.75
    assert np.mean(drawn["random"][..., 1:] == drawn["random"][..., :-1]) < 0.01
    with pytest.raises(ValueError, match="no operands are called 'loud'"):
        draw("loud", (4, 4), rng)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_statistics_change_the_activity_and_not_the_counters(statistic, boards):
    counters, activity = {}, {}
    for name in {"random", statistic}:
        program = compile_kernel("forward", 2, 8, 8, 8, 8, 3, 1, 1, TINY, 5, name).program
        counters[name], _ = run(boards[0], program)
        activity[name] = boards[0].activity()["product_toggles"]
    assert counters["random"] == counters[statistic]
    # small values toggle their sign extension, so they save least
    assert statistic == "random" or activity[statistic] < (0.97 if statistic == "small" else 0.8) * activity["random"]
