"""Random and hand-picked load and store instructions, with all that a bench needs to know about them."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from hw import isa
from hw.config import Config, load_config
from hw.golden_memory import runs
from hw.state import CoreState

DDR_BYTES = 1 << 16
BASE = 0x3AC50000
STRIPE_BYTES = 128
BURST_BEATS = 16


def config(g: int, axi_bits: int) -> Config:
    """Return the configuration `tiny` with another array side and bus width; the benches have its depths."""
    return dataclasses.replace(load_config("tiny"), g=g, axi_bits=axi_bits)


def random_state(cfg: Config, seed: int) -> CoreState:
    """Return a core with random memories, DDR and an image list of 12 images out of 20."""
    rng = np.random.default_rng(seed)
    state = CoreState(cfg, rng.integers(0, 256, DDR_BYTES, dtype=np.uint8))
    for memory in state.mem.values():
        memory[:] = np.frombuffer(rng.bytes(memory.nbytes), memory.dtype).reshape(memory.shape)
    state.mem["IL"][0] = 12 | 0xABCD0000
    state.mem["IL"][1:21] = rng.permutation(20).astype(np.uint64) | np.uint64(0x50000)
    return state


def random_transfer(rng: np.random.Generator, cfg: Config, op: str, names: list[str]) -> isa.Instruction:
    """Return a legal transfer of at most 160 words that stays inside DDR_BYTES for images below 20."""
    memory = isa.MEMORIES[isa.MEMORY_NUMBER[rng.choice(names)]]
    depth, word_bytes = cfg.depth(memory), cfg.word_bytes(memory)
    n_img, n_grp = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    longest = min(160, depth) // (n_img * n_grp)
    run = int(rng.choice([1, 2, rng.integers(1, longest + 1), longest])) if longest > 1 else 1
    use_list = int(memory.name != "IL" and rng.integers(0, 3) == 0)
    words = n_img * n_grp * run
    if words > depth:
        n_img = n_grp = run = words = 1
    return isa.Instruction(op, {
        "mem": isa.MEMORY_NUMBER[memory.name], "clip": int(rng.integers(0, 2)), "use_list": use_list,
        "base": int(rng.integers(0, depth - words + 1)), "addr": int(rng.integers(0, 4096 // word_bytes)) * word_bytes,
        "n_img": n_img, "img_stride": int(rng.integers(0, 2048 // word_bytes)) * word_bytes, "n_grp": n_grp,
        "grp_stride": int(rng.integers(0, 4096 // word_bytes)) * word_bytes, "run": run, "slot": int(rng.integers(0, 15)),
    })


def bits(instruction: isa.Instruction) -> int:
    """Return the fields as the struct that the engine is given."""
    return isa.pack(isa.FIELDS[instruction.op], {**instruction.fields, "opcode": isa.ENGINES.index(instruction.op) + 1})


def bursts(state: CoreState, instruction: isa.Instruction) -> list[tuple[int, int]]:
    """Return (address, beats) of every burst in order: every beat joins the last burst if stripe and length allow."""
    beat_bytes, cut = state.config.beat_bytes, []
    memory = isa.MEMORIES[instruction["mem"]]
    word_bytes = state.config.word_bytes(memory)
    for first, last, offset in runs(state, instruction, memory):
        start, size = BASE + offset, (last - first) * word_bytes
        group = min(STRIPE_BYTES, BURST_BEATS * beat_bytes)
        beats = range(start, start + size, beat_bytes)
        for _, joined in itertools.groupby(beats, key=lambda address: address // group):
            joined = list(joined)
            cut.append((joined[0], len(joined)))
    return cut
