"""Cocotb tests of accumulators: read-modify-write, maximum, vector port, clear, conflicts; G = 4, 16 rows a bank."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge

G, ROWS = 4, 32
INPUTS = ("acc_valid_i", "acc_addr_i", "acc_max_i", "acc_data_i", "vec_ren_i", "vec_addr_i", "vec_clear_i")


def word(lanes) -> int:
    """Return int32 lanes as the integer of a row."""
    return int.from_bytes(np.asarray(lanes, np.int32).tobytes(), "little")


def lanes(value) -> list[int]:
    """Return a row's int32 lanes."""
    return np.frombuffer(int(value).to_bytes(4 * G, "little"), np.int32).tolist()


async def cycle(dut, **inputs) -> tuple[int, bool, bool]:
    """Drive inputs (others zero) for a cycle; return the row read in the cycle before, conflict and busy."""
    for name in INPUTS:
        getattr(dut, name).value = inputs.get(name, 0)
    await ReadOnly()
    seen = (int(dut.vec_rdata_o.value), bool(dut.conflict_o.value), bool(dut.busy_o.value))
    await RisingEdge(dut.clk_i)
    return seen


async def start(dut) -> np.ndarray:
    """Reset and clear all rows; return the model."""
    dut.rst_ni.value = 0
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    await RisingEdge(dut.clk_i)
    await cycle(dut)
    dut.rst_ni.value = 1
    for row in range(ROWS):
        await cycle(dut, vec_ren_i=1, vec_addr_i=row, vec_clear_i=1)
    return np.zeros((ROWS, G), np.int32)


async def rows(dut) -> np.ndarray:
    """Read every row."""
    got = [await cycle(dut, vec_ren_i=1, vec_addr_i=row) for row in range(ROWS)][1:] + [await cycle(dut)]
    return np.array([lanes(value) for value, _, _ in got], np.int32)


def accumulate(model: np.ndarray, row: int, data: np.ndarray, maximum: bool) -> None:
    model[row] = np.maximum(model[row], data) if maximum else model[row] + data


@cocotb.test()
async def read_modify_write(dut):
    """Random rows, one per cycle or with pauses, the same row again after four cycles at the earliest; sums wrap."""
    model, rng, recent = await start(dut), np.random.default_rng(1), [-1, -1, -1]
    edges = np.array([-(1 << 31), (1 << 31) - 1, -1, 0, 1, 1 << 30], np.int32)
    for step in range(1500):
        row = int(rng.integers(ROWS)) if step % 3 else recent[0] ^ 1 if recent[0] >= 0 else 0
        if row in recent or rng.random() < 0.2:
            _, conflict, _ = await cycle(dut)
            recent = [-1, *recent[:2]]
        else:
            maximum = bool(rng.random() < 0.5)
            data = rng.integers(0, 1 << 16, G).astype(np.int32) if maximum else np.where(
                rng.random(G) < 0.5, rng.choice(edges, G), rng.integers(-(1 << 31), 1 << 31, G)).astype(np.int32)
            _, conflict, busy = await cycle(dut, acc_valid_i=1, acc_addr_i=row, acc_max_i=int(maximum), acc_data_i=word(data))
            assert busy
            accumulate(model, row, data, maximum)
            recent = [row, *recent[:2]]
        assert not conflict
    for _ in range(3):
        await cycle(dut)
    _, _, busy = await cycle(dut)
    assert not busy
    np.testing.assert_array_equal(await rows(dut), model)


@cocotb.test()
async def banks_work_side_by_side(dut):
    """The vector unit reads and clears one bank while the array accumulates into the other; no conflict."""
    model, rng = await start(dut), np.random.default_rng(2)
    for bank in (0, 1, 0, 1):
        expected = None
        for step in range(ROWS // 2):
            data = rng.integers(-1000, 1000, G).astype(np.int32)
            target, source = bank * ROWS // 2 + step, (1 - bank) * ROWS // 2 + (step * 5) % (ROWS // 2)
            clear = bool(rng.random() < 0.5)
            value, conflict, _ = await cycle(dut, acc_valid_i=1, acc_addr_i=target, acc_data_i=word(data),
                                             vec_ren_i=1, vec_addr_i=source, vec_clear_i=int(clear))
            assert not conflict
            assert expected is None or lanes(value) == expected
            expected = model[source].tolist()
            model[source] *= not clear
            accumulate(model, target, data, False)
        value, _, _ = await cycle(dut)
        assert lanes(value) == expected
        for _ in range(2):
            await cycle(dut)
    np.testing.assert_array_equal(await rows(dut), model)


@cocotb.test()
async def conflicts_are_seen(dut):
    """A vector read of the bank in which a row is read, added or written is a conflict, and no other read is."""
    await start(dut)
    for bank in (0, 1):
        for other in (0, 1):
            for delay in range(5):
                for _ in range(5):
                    await cycle(dut)
                seen = []
                for step in range(5):
                    inputs = {"acc_valid_i": 1, "acc_addr_i": bank * ROWS // 2 + 3} if step == 0 else {}
                    if step == delay:
                        inputs |= {"vec_ren_i": 1, "vec_addr_i": other * ROWS // 2 + 5}
                    seen.append((await cycle(dut, **inputs))[1])
                want = [step == delay and step < 4 and bank == other for step in range(5)]
                assert seen == want, f"bank {bank}, vector bank {other}, {delay} cycles later: {seen}"
