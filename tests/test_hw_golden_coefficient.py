"""hw/golden_coefficient.py against one channel after the other in plain Python integers."""

import numpy as np
import pytest
from test_algo_scalar_ops import expected, wrap

from algo import scalar_ops
from hw import isa
from hw.config import load_config
from hw.golden_coefficient import execute_coefficient
from hw.state import CoreError, CoreState

CONFIG = load_config("tiny")


@pytest.fixture
def state():
    rng = np.random.default_rng(5)
    state = CoreState(CONFIG, np.zeros(64, np.uint8))
    wide = rng.integers(-(2**62), 2**62, CONFIG.table_words)
    state.mem["C"][:] = (wide >> rng.integers(0, 60, CONFIG.table_words)).view(np.uint64)
    return state


def random_program(rng, length, offsets, scalar_offsets):
    """Return `length` instructions that load, compute and store; every word loaded is soon used."""
    program = []
    for _ in range(length):
        op = str(rng.choice(scalar_ops.SCALAR_OPS, p=np.array([3, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]) / 19))
        imm = rng.integers(-(2**14), 2**14)
        if op in ("ldc", "stc", "lds"):
            imm = rng.choice(scalar_offsets if op == "lds" else offsets)
        elif op in ("sat", "shi"):
            imm = rng.integers(1, 63) if op == "sat" else rng.integers(-66, 67)
        program.append(scalar_ops.encode(op, *rng.integers(0, 16, 3).tolist(), imm=int(imm)))
    return program


def run_in_python(words, program, bases, scalar_base):
    """Run the program channel by channel on a list of signed 64-bit integers."""
    for base in bases:
        registers = [0] * 16
        for op, rd, ra, rb, imm in map(scalar_ops.decode, program):
            if op == "ldc":
                registers[rd] = words[base + imm]
            elif op == "lds":
                registers[rd] = words[scalar_base + imm]
            elif op == "stc":
                words[base + imm] = registers[ra]
            else:
                registers[rd] = expected(op, registers[ra], registers[rb], imm)
    assert all(word == wrap(word) for word in words)


@pytest.mark.parametrize("stride", [0, 1, 5])
@pytest.mark.parametrize("seed", range(6))
def test_equals_python(state, stride, seed):
    rng = np.random.default_rng(seed)
    program = random_program(rng, 60, [-2, 0, 1, 2], [0, 3, -500])
    state.mem["P"][7:67] = np.array(program, np.uint64) | np.uint64(0xABCD << 32)
    fields = {"pc": 7, "length": 60, "ch_base": 20, "ch_count": 9, "ch_stride": stride, "sc_base": 520}
    words = state.mem["C"].view(np.int64).tolist()
    run_in_python(words, program, [20 + stride * i for i in range(9)], 520)
    execute_coefficient(state, isa.Instruction("coefficient", fields))
    assert state.mem["C"].view(np.int64).tolist() == words
    ops = [scalar_ops.decode(word)[0] for word in program]
    assert state.counters["scalar_ops"] == 540
    assert state.counters["table_reads"] == 9 * (ops.count("ldc") + ops.count("lds"))
    assert state.counters["table_writes"] == 9 * ops.count("stc")


def test_a_store_reaches_the_next_channel_and_the_scalars(state):
    state.mem["C"][:16] = 0
    state.mem["C"][3] = 1
    program = [scalar_ops.encode("lds", 1, imm=3), scalar_ops.encode("add", 1, 1, 1), scalar_ops.encode("stc", ra=1)]
    state.mem["P"][:3] = program
    execute_coefficient(state, isa.Instruction("coefficient", {"length": 3, "ch_base": 3, "ch_count": 5}))
    assert state.mem["C"][3] == 32


@pytest.mark.parametrize(
    ("fields", "program", "code", "said"),
    [
        ({"length": 0}, [], "malformed", "length = 0"),
        ({"spare": 2}, [0], "malformed", "spare"),
        ({"pc": 1023, "length": 2}, [0], "bad_address", "which has 1024"),
        ({}, [31], "malformed", "opcode 31"),
        ({}, [scalar_ops.encode("sat", imm=5) & 0x1FFFF], "malformed", "sat has imm = 0"),
        ({}, [scalar_ops.encode("ldc", imm=-1)], "bad_address", "-1"),
        ({"ch_base": 1000, "ch_stride": 3, "ch_count": 9}, [scalar_ops.encode("stc", imm=0)], "bad_address", "1024"),
        ({"sc_base": 65535}, [scalar_ops.encode("lds", imm=3)], "bad_address", "65538"),
    ],
)
def test_refused(state, fields, program, code, said):
    state.mem["P"][: len(program)] = program
    with pytest.raises(CoreError, match=said) as error:
        execute_coefficient(state, isa.Instruction("coefficient", {"length": 1, "ch_count": 1, **fields}))
    assert error.value.code == code
