"""hw/golden_memory.py against byte-by-byte loops over hw/architecture.md."""

import numpy as np
import pytest

from hw import isa
from hw.config import load_config
from hw.golden_memory import execute_load, execute_store
from hw.state import CoreError, CoreState

CONFIG = load_config("tiny")


@pytest.fixture
def state():
    rng = np.random.default_rng(3)
    state = CoreState(CONFIG, rng.integers(0, 256, 1 << 16, dtype=np.uint8))
    for name, memory in state.mem.items():
        if name != "IL":
            memory[:] = np.frombuffer(rng.bytes(memory.nbytes), memory.dtype).reshape(memory.shape)
    state.mem["IL"][:20] = [9, *rng.permutation(19)]
    return state


def transfer(op, memory, **fields):
    values = {"n_img": 1, "n_grp": 1, "run": 1, **fields, "mem": isa.MEMORY_NUMBER[memory]}
    return isa.Instruction(op, values)


def byte_pairs(state, instruction):
    """Yield (byte in the memory, byte in DDR), from the loop of the specification."""
    f = instruction.fields
    word_bytes = CONFIG.word_bytes(isa.MEMORIES[f["mem"]])
    n = min(max(9 - f.get("slot", 0), 0), f["n_img"]) if f.get("clip") else f["n_img"]
    dst = f.get("base", 0)
    for i in range(n):
        image = int(state.mem["IL"][1 + f.get("slot", 0) + i]) if f.get("use_list") else i
        for j in range(f["n_grp"]):
            start = f.get("addr", 0) + image * f.get("img_stride", 0) + j * f.get("grp_stride", 0)
            for k in range(f["run"] * word_bytes):
                yield dst * word_bytes + k, (start + k) % 2**32
            dst += f["run"]


CASES = {
    "one word": {},
    "groups": {"n_grp": 3, "grp_stride": 400, "run": 5, "base": 7, "addr": 1240},
    "images": {"n_img": 4, "img_stride": 2000, "n_grp": 2, "grp_stride": 160, "run": 3, "base": 2, "addr": 64},
    "list": {"n_img": 5, "img_stride": 1024, "n_grp": 2, "grp_stride": 96, "run": 4, "use_list": 1, "slot": 3},
    "clipped": {"n_img": 5, "img_stride": 1024, "run": 4, "use_list": 1, "clip": 1, "slot": 6},
    "clipped to none": {"n_img": 5, "img_stride": 1024, "run": 4, "clip": 1, "slot": 9, "addr": 3},
    "backwards": {"n_img": 3, "img_stride": 2**32 - 64, "run": 2, "addr": 512},
}


def words(case):
    return CASES[case].get("n_img", 1) * CASES[case].get("n_grp", 1) * CASES[case].get("run", 1)


def cases(op):
    for memory in isa.MEMORIES:
        for case in CASES:
            replaces_its_own_list = memory.name == "IL" and "use_list" in CASES[case]
            if getattr(memory, op) and words(case) + 7 <= CONFIG.depth(memory) and not replaces_its_own_list:
                yield memory.name, case


@pytest.mark.parametrize(("memory", "case"), list(cases("load")))
def test_load(state, memory, case):
    instruction = transfer("load", memory, **CASES[case])
    want = {name: array.copy() for name, array in state.mem.items()}
    pairs = list(byte_pairs(state, instruction))
    for inside, outside in pairs:
        want[memory].view(np.uint8).reshape(-1)[inside] = state.ddr[outside]
    execute_load(state, instruction)
    for name in want:
        np.testing.assert_array_equal(state.mem[name], want[name], err_msg=name)
    moved = len(pairs) // CONFIG.word_bytes(isa.MEMORIES[instruction["mem"]])
    spad = moved if isa.MEMORIES[instruction["mem"]].wide else 0
    counted = {"ddr_read_bytes": len(pairs), "spad_writes": spad, "table_writes": moved if memory == "C" else 0}
    assert {k: v for k, v in state.counters.items() if v} == {k: v for k, v in counted.items() if v}


@pytest.mark.parametrize(("memory", "case"), list(cases("store")))
def test_store(state, memory, case):
    instruction = transfer("store", memory, **CASES[case])
    want = state.ddr.copy()
    pairs = list(byte_pairs(state, instruction))
    for inside, outside in pairs:
        want[outside] = state.mem[memory].view(np.uint8).reshape(-1)[inside]
    execute_store(state, instruction)
    np.testing.assert_array_equal(state.ddr, want)
    moved = len(pairs) // CONFIG.word_bytes(isa.MEMORIES[instruction["mem"]])
    counted = {"ddr_write_bytes": len(pairs), "table_reads" if memory == "C" else "spad_reads": moved}
    assert {k: v for k, v in state.counters.items() if v} == {k: v for k, v in counted.items() if v}


REFUSED = [
    ({"addr": 2}, "bad_address", "0x2"),
    ({"n_img": 2, "img_stride": 3}, "bad_address", "0x3"),
    ({"n_grp": 2, "grp_stride": 5}, "bad_address", "0x5"),
    ({"base": 250, "run": 7}, "bad_address", "words 250 to 256 of U"),
    ({"base": 0xFFFF, "run": 0xFFFF}, "bad_address", "which has 256"),
    ({"use_list": 1, "slot": 511}, "bad_address", "word 512 of the image list"),
    ({"run": 0}, "malformed", "run = 0"),
    ({"mem": 15}, "malformed", "memory 15"),
    ({"spare": 1}, "malformed", "spare"),
]


@pytest.mark.parametrize("op", ["load", "store"])
@pytest.mark.parametrize(("fields", "code", "said"), REFUSED)
def test_refused(state, op, fields, code, said):
    instruction = transfer(op, "U", **fields)
    instruction.fields.update(fields)
    with pytest.raises(CoreError, match=said) as error:
        {"load": execute_load, "store": execute_store}[op](state, instruction)
    assert error.value.code == code


@pytest.mark.parametrize("addr", [1 << 16, (1 << 16) - 4, 2**32 - 4])
def test_nobody_answers(state, addr):
    for op, execute, code in (("load", execute_load, "read_error"), ("store", execute_store, "write_error")):
        with pytest.raises(CoreError) as error:
            execute(state, transfer(op, "U", addr=addr, run=2))
        assert error.value.code == code


def test_memories_that_an_engine_does_not_reach(state):
    for op, execute in (("load", execute_load), ("store", execute_store)):
        for memory in isa.MEMORIES:
            if not getattr(memory, op):
                with pytest.raises(CoreError) as error:
                    execute(state, transfer(op, memory.name))
                assert error.value.code == "malformed"
