"""The state of one core as numpy arrays: what instructions read and write."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hw import isa
from hw.config import Config


class CoreError(RuntimeError):
    """An instruction cannot run.

    Attributes:
        code: the entry of isa.ERRORS that the hardware's status would show.
        index, engine: number of the instruction in its segment and entry of isa.ENGINES or "fetch"; the
            interpreter sets them, unit models leave them at 0 and "".
    """

    def __init__(self, code: str, message: str, index: int = 0, engine: str = ""):
        super().__init__(message)
        self.code = code
        self.index = index
        self.engine = engine


def check_instruction(op: str, instruction: isa.Instruction) -> None:
    """Raise CoreError("malformed") for an instruction that the fetch unit would not have handed to engine `op`."""
    if instruction.op != op:
        raise CoreError("malformed", f"the {op} engine was given an instruction for {instruction.op}")
    try:
        isa.check(instruction)
    except isa.MalformedInstruction as error:
        raise CoreError("malformed", str(error)) from None


@dataclass
class CoreState:
    """Memories and counters of a core, and the DDR behind it.

    Attributes:
        config: sizes.
        mem: one array per memory of isa.MEMORIES: uint8 (words, G) for wide ones, uint64 (words,) for others.
        acc: int32 (2 * acc_rows, G).
        ddr: uint8; byte 0 is at BASE.
        counters: every name of isa.COUNTER_NAMES to an int.
    """

    config: Config
    ddr: np.ndarray
    mem: dict[str, np.ndarray] = field(init=False)
    acc: np.ndarray = field(init=False)
    counters: dict[str, int] = field(init=False)

    def __post_init__(self):
        g = self.config.g
        self.mem = {
            m.name: np.zeros((self.config.depth(m), g) if m.wide else self.config.depth(m), np.uint8 if m.wide else np.uint64)
            for m in isa.MEMORIES
        }
        self.acc = np.zeros((2 * self.config.acc_rows, g), np.int32)
        self.counters = dict.fromkeys(isa.COUNTER_NAMES, 0)

    @property
    def image_count(self) -> int:
        """Images in the mini-batch: word 0 of the image list, low 16 bits."""
        return int(self.mem["IL"][0]) & 0xFFFF

    def images(self, instruction: isa.Instruction) -> int:
        """Return the images an instruction runs for: n_img, clipped to the mini-batch when it asks for it."""
        if not instruction["clip"]:
            return instruction["n_img"]
        return min(max(self.image_count - instruction["slot"], 0), instruction["n_img"])
