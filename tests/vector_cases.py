"""Random states and vector instructions for the tests of the vector unit, golden and RTL."""

from __future__ import annotations

import numpy as np

from hw import isa
from hw.config import Config, load_config
from hw.state import CoreState

EDGES = np.array([0, 1, -1, 127, 128, -127, -128, 32767, -32768, (1 << 23) - 1, -(1 << 23), (1 << 31) - 1, -(1 << 31)])
COUNTED = ("vectors", "vectors_wide", "spad_reads", "spad_writes", "acc_reads", "acc_writes", "table_reads", "table_writes")


def random_state(rng: np.random.Generator, config: Config | None = None) -> CoreState:
    """Return a core whose memories are full of random words; 32-bit operands mix sizes and edge values."""
    state = CoreState(config or load_config("tiny"), np.zeros(16, np.uint8))
    for memory in isa.MEMORIES:
        array = state.mem[memory.name]
        array[...] = rng.integers(0, 256, array.shape) if memory.wide else rng.integers(0, 1 << 63, array.shape, np.uint64)
    for name in ("U", "V"):
        words = state.mem[name].reshape(-1).view("<i4")
        half = rng.random(words.shape) < 0.5
        words[half] = mixed_int32(rng, int(half.sum()))
    state.acc[...] = mixed_int32(rng, state.acc.size).reshape(state.acc.shape)
    return state


def mixed_int32(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return int32 (count,) of every magnitude, a tenth of them edge values."""
    values = rng.integers(-(1 << 31), 1 << 31, count) >> rng.integers(0, 32, count)
    return np.where(rng.random(count) < 0.1, rng.choice(EDGES, count), values).astype(np.int32)


def coefficient(rng: np.random.Generator) -> int:
    """Return an 18-bit coefficient of any magnitude."""
    return int(rng.choice([-(1 << 17), (1 << 17) - 1, 0, 1])) if rng.random() < 0.15 else _signed(rng, 18)


def offset(rng: np.random.Generator) -> int:
    """Return a 48-bit offset of any magnitude."""
    return int(rng.choice([-(1 << 47), (1 << 47) - 1, 0])) if rng.random() < 0.15 else _signed(rng, 48)


def _signed(rng: np.random.Generator, bits: int) -> int:
    return int(rng.integers(-(1 << bits - 1), 1 << bits - 1)) >> int(rng.integers(0, bits))


def write_tables(rng: np.random.Generator, state: CoreState, fields: dict[str, int]) -> None:
    """Write the coefficients and the record that an instruction reads; their unused bits are noise."""
    table = state.mem["C"].view(np.int64)

    def pair(at: int) -> None:
        noise = int(rng.integers(0, 1 << 63)) & ~(0x3FFFF | 0x3FFFF << 32)
        table[at] = np.uint64(noise | (coefficient(rng) & 0x3FFFF) | (coefficient(rng) & 0x3FFFF) << 32).astype(np.int64)
        table[at + 1] = offset(rng)

    for lane in range(state.config.g):
        pair(fields["c_coef"] + lane * fields["c_stride"])
    at = fields["c_rec"]
    pair(at)
    shift = int(rng.integers(0, 64)) if rng.random() < 0.1 else int(rng.integers(0, 48))
    table[at + 2] = int(rng.integers(0, 1 << 24)) << 38 | shift << 32 | int(rng.integers(0, 1 << 32))
    threshold = int(rng.integers(0, 1 << 32)) >> int(rng.integers(0, 32))
    table[at + 3] = int(rng.integers(0, 1 << 31)) << 32 | threshold


def random_fields(rng: np.random.Generator, most_vectors: int = 40) -> dict[str, int]:
    """Return fields of a legal instruction for the configuration tiny, every option drawn on its own."""

    def flag(share: float = 0.5) -> int:
        return int(rng.random() < share)

    n_img = int(rng.integers(1, 4))
    img_px = int(rng.integers(1, most_vectors // n_img + 1))
    dst_wide = flag(0.3)
    fields = {
        "u_src": int(rng.integers(0, 6)), "acc_clear": flag(), "v_src": int(rng.integers(0, 3)), "dst": int(rng.integers(0, 4)),
        "dst_wide": dst_wide, "per_channel": flag(), "stochastic": flag(), "post": int(rng.integers(0, 4)), "sign_of": flag(0.2),
        "byte": int(rng.integers(0, 3)) * (1 - dst_wide),
        "mask_in": flag(0.3), "mask_out": flag(0.4), "sums": flag() * (1 - dst_wide), "sums_v": flag(),
        "sums_first": flag(), "max": flag(), "clip": flag(0.4),
        "su": int(rng.integers(0, 32)) if flag(0.3) else int(rng.integers(0, 9)),
        "sv": int(rng.integers(0, 32)) if flag(0.3) else int(rng.integers(0, 9)),
        "u_base": int(rng.integers(0, 96)), "v_base": int(rng.integers(0, 96)), "o_base": int(rng.integers(0, 96)),
        "mi_base": int(rng.integers(0, 40)), "mo_base": int(rng.integers(0, 40)),
        "n_img": n_img, "img_px": img_px,
        "slot": int(rng.integers(0, 4096)) if flag() else int(rng.integers(0, 8)),
        "c_coef": int(rng.integers(0, 40)), "c_stride": int(rng.integers(4, 20)), "c_rec": int(rng.integers(400, 440)),
        "c_sum": int(rng.integers(200, 240)), "c_max": int(rng.integers(600, 640)), "px0": int(rng.integers(0, 1 << 24)),
        "px_total": int(rng.integers(1, 1 << 24)), "ch0": int(rng.integers(0, 1 << 16)),
    }
    if flag():
        fields["c_sum"] = fields["c_coef"] + 2
    _place_result(rng, fields)
    return fields


def _place_result(rng: np.random.Generator, fields: dict[str, int]) -> None:
    """Put a result that goes to an operand's memory over that operand, or behind it where their sizes differ."""
    for dst, source, base in ((2, fields["u_src"], "u_base"), (3, fields["v_src"], "v_base")):
        if fields["dst"] == dst and source in (1, 2):
            wide_in, vectors = source == 2, fields["n_img"] * fields["img_px"]
            if wide_in >= fields["dst_wide"] and rng.random() < 0.7:
                fields["o_base"] = fields[base]
            else:
                fields[base] = 0
                fields["o_base"] = vectors * (4 if wide_in else 1)
                if fields["o_base"] + vectors * (4 if fields["dst_wide"] else 1) > 256:
                    fields["dst"] = 1


def set_image_count(rng: np.random.Generator, state: CoreState, fields: dict[str, int]) -> None:
    """Write an image count that leaves none, some or all of a clipped instruction's images."""
    left = int(rng.integers(-1, fields["n_img"] + 2))
    state.mem["IL"][0] = np.uint64(0xABCD << 16 | max(fields["slot"] + left, 0))
