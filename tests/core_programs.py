"""Small programs for the whole core, as images of DDR, and what they have to leave behind."""

from __future__ import annotations

import numpy as np

from hw import isa
from hw.config import Config
from hw.golden import run_segment
from hw.state import CoreState

DDR_BYTES = 1 << 16
CODE, OPERAND, WEIGHTS, TABLE, LIST, RESULT, SUMS, PROGRAM = (
    0x0, 0x1000, 0x2000, 0x2800, 0x2C00, 0x4000, 0x6000, 0x7000,
)  # fmt: skip
SIDE = 8


def engines(*names: str) -> int:
    """Return the mask of wait or signal with the named engines."""
    return sum(1 << isa.ENGINES.index(name) for name in names)


def instruction(op: str, **fields: int) -> isa.Instruction:
    """Return an instruction; memories are given by name."""
    if "mem" in fields:
        fields["mem"] = isa.MEMORY_NUMBER[fields["mem"]]
    return isa.Instruction(op, fields)


def transfer(op: str, mem: str, addr: int, words: int, **fields: int) -> isa.Instruction:
    """Return a load or store of consecutive words from word 0 of a memory."""
    return instruction(op, mem=mem, addr=addr, n_img=1, n_grp=1, run=words, **fields)


def clear_accumulators(cfg: Config, **fields: int) -> isa.Instruction:
    """Return the vector instruction that leaves zero in every accumulator row, whatever was there."""
    return instruction("vector", u_src=3, acc_clear=1, n_img=1, img_px=2 * cfg.acc_rows, **fields)


def endless(op: str) -> isa.Instruction:
    """Return an instruction of the array, vector or coefficient unit that takes more than a million cycles.

    The coefficient unit's waits for a load of 1000 scalar instructions.
    """
    if op == "array":
        return instruction("array", n_kb=1, n_red=1, n_ky=1, n_kx=1, n_img=1000, n_y=1000, n_x=1000, stride=1, h=1, w=1)
    if op == "vector":
        return instruction("vector", u_src=1, n_img=1000, img_px=60000)
    return instruction("coefficient", length=1000, ch_count=4095, wait=engines("load"))


def one_tile(cfg: Config) -> list[isa.Instruction]:
    """Return load, 3x3 convolution, requantisation with sums and maximum, store: engine after engine, through tokens.

    Transfers are clipped to the image list's count, and a last vector pass reads accumulators without clearing. The
    loads of the second image run while the first is computed; the accumulator rows of both are in different banks.
    """
    pixels = SIDE * SIDE
    plain = {"n_img": 1, "n_y": SIDE, "n_x": SIDE}
    program = [
        clear_accumulators(cfg, signal=engines("array")),
        transfer("load", "C", TABLE, 64),
        transfer("load", "IL", LIST, 4, signal=engines("vector")),
        transfer("load", "W", WEIGHTS, 9 * cfg.g),
    ]
    for image in range(2):
        first, base, row = int(image == 0), image * pixels, image * cfg.acc_rows
        program += [
            instruction("load", mem="A", base=base, addr=OPERAND, n_img=1, img_stride=pixels * cfg.g, n_grp=1, run=pixels,
                        use_list=1, clip=1, slot=image, signal=engines("array")),
            instruction("array", n_kb=1, n_red=1, n_ky=3, n_kx=3, stride=1, oy=-1, ox=-1, h=SIDE, w=SIDE, a_base=base,
                        b_step_tap=cfg.g, c_base=row, **plain, signal=engines("vector"),
                        wait=engines("load", *["vector"] * first)),
            instruction("vector", u_src=3, acc_clear=1, dst=1, sums=1, sums_first=first, max=1, u_base=row, o_base=base, n_img=1,
                        img_px=pixels, c_rec=0, c_sum=8, c_stride=2, c_max=4, signal=engines("store"),
                        wait=engines("array", *["load"] * first)),
            instruction("store", mem="O", base=base, addr=RESULT + base * cfg.g, n_img=1, n_grp=1, run=pixels,
                        clip=1, slot=image, wait=engines("vector")),
        ]  # fmt: skip
    look = instruction("vector", u_src=3, n_img=1, img_px=SIDE)
    return [*program, look, transfer("store", "C", SUMS, 64)]


def ddr_of(program: list[bytes], seed: int = 0) -> np.ndarray:
    """Return DDR with the program's words, random operands, a record and an image list."""
    rng = np.random.default_rng(seed)
    ddr = rng.integers(0, 256, DDR_BYTES, dtype=np.uint8)
    table = np.zeros(64, np.int64)
    table[:4] = [3, 0, 9 << 32, 0]
    for at, words in ((TABLE, table), (LIST, np.array([2, 1, 0, 3]))):
        raw = words.astype("<i8").view(np.uint8)
        ddr[at : at + raw.size] = raw
    code = np.frombuffer(b"".join(program), np.uint8)
    ddr[CODE : CODE + code.size] = code
    return ddr


def golden_after(cfg: Config, ddr: np.ndarray, count: int) -> CoreState:
    """Return the state that the golden interpreter leaves."""
    state = CoreState(cfg, ddr.copy())
    run_segment(state, CODE, count)
    return state
