"""A difference between executors is found, named, and traced to the instruction that made it."""

import dataclasses

import numpy as np
import pytest

from host import board_golden
from host.board import open_board
from host.check import bisect, first_difference
from hw import golden, isa
from hw.config import load_config

CONFIG = load_config("tiny")
DDR_BYTES = 1 << 15
PROGRAM = 0x4000
COPIES = 24


def test_equal_tensors_have_no_difference():
    tensors = {"a": np.arange(6).reshape(2, 3), "b": np.array(4)}
    assert first_difference(tensors, {name: array.copy() for name, array in tensors.items()}) is None


def test_the_first_difference_names_tensor_index_and_values():
    expected = {"same": np.zeros(3), "conv1": np.arange(24).reshape(2, 3, 4), "later": np.ones(2)}
    found = {name: array.copy() for name, array in expected.items()}
    found["conv1"][1, 0, 2] = -5
    found["conv1"][1, 2, 3] = -6
    found["later"][0] = 9
    difference = first_difference(found, expected)
    assert (difference.tensor, difference.index, difference.found, difference.expected) == ("conv1", (1, 0, 2), -5, 14)
    assert str(difference) == "conv1[1, 0, 2] is -5, expected 14 (2 elements of it differ)"


@pytest.mark.parametrize("found", [{"a": np.zeros((2, 2))}, {}])
def test_a_shape_or_a_missing_tensor_is_a_difference(found):
    assert "expected (3,)" in str(first_difference(found, {"a": np.zeros(3)}))
    assert first_difference({"a": np.zeros(3), "more": np.zeros(1)}, {"a": np.zeros(3)}).tensor == "more"


@pytest.fixture
def boards():
    with open_board("golden", CONFIG, ddr_bytes=DDR_BYTES) as one, open_board("golden", CONFIG, ddr_bytes=DDR_BYTES) as other:
        load, store = (isa.ENGINES.index(name) for name in ("load", "store"))
        code = b""
        for i in range(COPIES):
            fields = {"mem": isa.MEMORY_NUMBER["U"], "base": 8 * i, "n_img": 1, "n_grp": 1, "run": 8}
            code += isa.encode(isa.Instruction("load", {**fields, "addr": 32 * i, "signal": 1 << store}))
            code += isa.encode(isa.Instruction("store", {**fields, "addr": 0x2000 + 32 * i, "wait": 1 << load}))
        one.write(PROGRAM, code)
        one.write(0, np.random.default_rng(5).integers(0, 256, 4096, np.uint8))
        yield one, other


def test_equal_boards_have_no_culprit(boards):
    assert bisect(*boards, boards[0].snapshot(), PROGRAM, 2 * COPIES) is None


@pytest.mark.parametrize("culprit", [0, 1, 18, 31, 2 * COPIES - 1])
def test_bisection_finds_the_instruction_that_goes_wrong(boards, monkeypatch, culprit):
    one, other = boards
    before = one.snapshot()

    def faulty(state, address, count, stopped):
        golden.run_segment(state, address, count, stopped)
        if state is one.state and count > culprit:
            memory = state.mem["U"] if culprit % 2 == 0 else state.ddr[0x2000:].reshape(-1, 4)
            memory[8 * (culprit // 2) + 3, 1] ^= 4

    monkeypatch.setattr(board_golden, "run_segment", faulty)
    found = bisect(one, other, before, PROGRAM, 2 * COPIES)
    assert found.index == culprit
    assert found.instruction.op == ("load", "store")[culprit % 2]
    assert ("U[" if culprit % 2 == 0 else "ddr[") in found.where


def test_a_counter_that_differs_is_found_too(boards, monkeypatch):
    one, other = boards

    def faulty(state, address, count, stopped):
        golden.run_segment(state, address, count, stopped)
        if state is one.state and count > 7:
            state.counters["spad_writes"] += 1

    monkeypatch.setattr(board_golden, "run_segment", faulty)
    found = bisect(one, other, one.snapshot(), PROGRAM, 2 * COPIES)
    assert found.index == 7 and "spad_writes" in found.where


def test_an_error_on_one_board_only_is_found(boards, monkeypatch):
    one, other = boards

    def faulty(state, address, count, stopped):
        if state is one.state and count > 12:
            state = dataclasses.replace(state, ddr=state.ddr[:64])
        golden.run_segment(state, address, count, stopped)

    monkeypatch.setattr(board_golden, "run_segment", faulty)
    found = bisect(one, other, one.snapshot(), PROGRAM, 2 * COPIES)
    assert found.index == 12 and "read_error" in found.where and "runs to its end" in found.where
