"""Memories of the simulated core set and read from outside are those that its engines use."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from core_programs import engines, instruction, transfer

from host.board import open_board
from hw import isa
from hw.config import load_config
from hw.core_memories import differences
from hw.state import CoreState

CONFIG = load_config("tiny")
DDR_BYTES = 1 << 15
CODE = 0x6000
IMAGES = 2


def random_state(seed: int) -> CoreState:
    """Return memories, accumulators and DDR full of random bits, but for an image list that can be followed."""
    rng = np.random.default_rng(seed)
    state = CoreState(CONFIG, rng.integers(0, 256, DDR_BYTES, np.uint8))
    for memory in state.mem.values():
        memory[:] = rng.integers(0, np.iinfo(memory.dtype).max, memory.shape, memory.dtype, endpoint=True)
    state.mem["IL"][:4] = [IMAGES, 1, 3, 0]
    state.acc[:] = rng.integers(-(1 << 31), 1 << 31, state.acc.shape)
    return state


def segment() -> list[isa.Instruction]:
    """Return stores and vector passes that read what nothing in the segment has written.

    The image list is read by load and store engine, the image count by the clips, both accumulator banks by the passes.
    """
    gather = {"n_img": IMAGES + 1, "img_stride": 8 * CONFIG.g, "n_grp": 1, "run": 8, "use_list": 1, "clip": 1}
    program = [
        instruction("store", mem="U", addr=0x0, **gather),
        instruction("load", mem="V", addr=0x1000, base=64, **gather),
    ]
    for bank in range(2):
        program.append(instruction("vector", u_src=3, dst=1, u_base=bank * CONFIG.acc_rows, o_base=16 * bank, n_img=IMAGES + 1,
                                   img_px=4, clip=1, signal=engines("store")))
        program.append(transfer("store", "O", 0x2000 + 0x100 * bank, 12, base=16 * bank, wait=engines("vector")))
    return program


@pytest.fixture
def boards():
    with open_board("golden", CONFIG, ddr_bytes=DDR_BYTES) as golden, open_board("sim", CONFIG, ddr_bytes=DDR_BYTES) as sim:
        yield golden, sim


def test_what_is_set_is_read_back(boards):
    _, sim = boards
    for seed in range(2):
        state = random_state(seed)
        sim.restore(state)
        assert differences(sim.snapshot(), state) == {}


def test_the_engines_find_what_is_set(boards):
    state, outcomes = random_state(2), []
    code = np.frombuffer(b"".join(isa.encode(one) for one in segment()), np.uint8)
    state.ddr[CODE : CODE + code.size] = code
    for board in boards:
        board.restore(state)
        board.start(CODE, len(segment()))
        board.wait(60)
        outcomes.append(board.snapshot())
    golden, sim = outcomes
    assert differences(sim, golden) == {}
    changed = differences(golden, state)
    assert set(changed) == {"V", "O", "ddr"} and len(changed["V"]) == 8 * IMAGES


@pytest.mark.parametrize("name", [*(memory.name for memory in isa.MEMORIES), "acc", "ddr"])
def test_a_difference_is_found_in_the_first_and_the_last_word(name):
    one = random_state(3)
    array = one.ddr if name == "ddr" else one.acc if name == "acc" else one.mem[name]
    for at in (0, len(array) - 1):
        other = copy.deepcopy(one)
        changed = other.ddr if name == "ddr" else other.acc if name == "acc" else other.mem[name]
        changed[at] ^= changed.dtype.type(1)
        found = differences(one, other)
        assert set(found) == {name} and found[name].tolist() == [at]


@pytest.mark.parametrize("name", ["P", "IL"])
def test_bits_that_no_engine_reads_are_no_difference(name):
    one = random_state(4)
    other = copy.deepcopy(one)
    other.mem[name][5] ^= np.uint64(1 << 32)
    assert differences(one, other) == {}
