"""Random array instructions and memories, shared by the tests of the golden array and of the RTL array."""

from __future__ import annotations

import dataclasses

import numpy as np

from hw import isa
from hw.config import Config, load_config
from hw.state import CoreState

MODES = (
    "forward", "grad_input", "grad_weight", "sum", "max", "max_backward", "blocks", "single_pixel", "overlap", "few_bits", "pair",
)  # fmt: skip


def small_config(**sizes: int) -> Config:
    """Return the configuration `tiny` with some sizes replaced."""
    return dataclasses.replace(load_config("tiny"), **sizes)


def fill(state: CoreState, rng: np.random.Generator) -> None:
    """Fill A, W, the block list and the accumulators with random values; the mini-batch has two images."""
    for name in ("A", "W"):
        words = state.mem[name]
        words[:] = rng.choice(np.array([-128, -127, -1, 0, 1, 127], np.int8), words.shape).view(np.uint8)
        some = rng.random(words.shape) < 0.7
        words[some] = rng.integers(0, 256, words.shape, np.uint8)[some]
    state.mem["BL"][:] = rng.integers(0, 1 << 64, state.mem["BL"].shape, np.uint64)
    state.mem["IL"][0] = 2
    state.acc[:] = rng.integers(-(1 << 31), 1 << 31, state.acc.shape)


def random_instruction(rng: np.random.Generator, mode: str, config: Config) -> isa.Instruction:
    """Return an instruction of a mode whose addresses stay inside the memories of `config`.

    mode: one of MODES. "blocks" skips passes, sometimes of 100; "single_pixel" has passes of one or two slots that hit
    the same accumulator rows; "overlap" lets images and output groups share rows; "few_bits" rounds operands, "pair" takes
    two taps at once of them.
    """
    pick = lambda low, high: int(rng.integers(low, high + 1))  # noqa: E731
    base_mode = {
        "blocks": ("forward", "grad_input", "sum", "max")[pick(0, 3)],
        "single_pixel": ("forward", "grad_input", "grad_weight")[pick(0, 2)],
        "overlap": "forward",
        "few_bits": "grad_weight",
        "pair": "grad_weight",
    }.get(mode, mode)
    g = config.g
    f = {name: pick(1, 3) for name in ("n_ky", "n_kx", "stride")}
    f |= {name: pick(1, 2) for name in ("n_kb", "n_red")} | {name: pick(1, 6) for name in ("h", "w")}
    f |= {"n_img": pick(1, 3), "n_y": pick(1, 5), "n_x": pick(1, 5)}
    if mode == "single_pixel":
        f |= {"n_img": 1, "n_y": 1, "n_x": pick(1, 2), "n_red": pick(1, 3), "stride": 1}
        f |= {name: pick(1, 3) for name in ("h", "w")}
    if mode == "blocks" and pick(0, 2) == 0:  # 100 passes: their bits reach into a second word of the list
        f |= {"n_img": 1, "n_y": pick(1, 2), "n_x": pick(1, 2), "n_ky": 5, "n_kx": 5, "n_kb": 2, "n_red": 2}
    f |= {"oy": pick(-3, 2), "ox": pick(-3, 2), "clip": pick(0, 1), "slot": pick(0, 2), "product": pick(0, 3)}
    plain, strided, taps = f["n_y"] * f["n_x"], f["h"] * f["w"], f["n_ky"] * f["n_kx"]
    f["scatter"] = int(base_mode in ("grad_input", "max_backward") or (base_mode == "sum" and pick(0, 1)))
    f["os"] = int(base_mode == "grad_weight")
    a_side, c_side = (plain, strided) if f["scatter"] else (strided, plain)
    f |= {"a_step_red": a_side + pick(0, 2), "a_step_img": a_side * f["n_red"] + pick(0, 3)}
    a_used = (f["n_red"] - 1) * f["a_step_red"] + (f["n_img"] - 1) * f["a_step_img"] + a_side
    f["a_base"] = pick(0, config.a_words - a_used)
    if f["os"]:
        f |= {"b_step_kb": plain + pick(0, 2), "b_step_img": plain * f["n_kb"] + pick(0, 2)}
        f |= {"pair": int(mode == "pair"), "c_step_tap": g * pick(1, 2 if taps < 9 else 1)}
        if f["pair"]:
            f |= {"down": pick(0, 1), "c_step_pair": g * pick(1, 3)}
        block = (taps - 1) * f["c_step_tap"] + f.get("c_step_pair", 0) + g
        f |= {"c_step_red": block, "c_step_kb": block * f["n_red"]}
        b_used = (f["n_kb"] - 1) * f["b_step_kb"] + (f["n_img"] - 1) * f["b_step_img"] + plain
        c_used = f["n_kb"] * f["c_step_kb"]
        if mode == "few_bits":
            f |= {"a_drop": pick(0, 7), "b_drop": pick(0, 7), "dither": pick(0, 63)}
        if mode == "pair":
            f |= {"a_drop": pick(3, 7), "b_drop": pick(4, 7), "dither": pick(0, 63)}
    else:
        f |= {"transpose": pick(0, 1), "hold_weights": int(base_mode in ("sum", "max", "max_backward"))}
        f |= {"acc_max": int(base_mode == "max"), "select": int(base_mode == "max_backward")}
        f |= {"use_blocks": int(mode == "blocks"), "blocks_base": pick(0, config.block_words - 2)}
        f |= {"b_step_tap": pick(1, g), "b_step_red": pick(0, 40), "b_step_kb": pick(0, 80)}
        f |= {"c_step_img": c_side + pick(0, 2), "c_step_kb": c_side * f["n_img"] + pick(0, 3)}
        if mode == "overlap":
            f |= {"c_step_img": pick(0, 1), "c_step_kb": pick(0, 1)}
        b_used = 2 * 80 + 3 * 40 + 9 * g
        c_used = (f["n_kb"] - 1) * f["c_step_kb"] + (f["n_img"] - 1) * f["c_step_img"] + c_side
        f["idx_base"] = pick(0, config.w_words - a_used)
    f["b_base"] = pick(0, config.w_words - b_used)
    f["c_base"] = pick(0, 2 * config.acc_rows - c_used)
    return isa.Instruction("array", {name: value for name, value in f.items() if value})
