"""Random programs for all engines side by side, for the cycle model: with few tokens, so that engines get in each other's way."""

from __future__ import annotations

from dataclasses import dataclass

import array_cases
import numpy as np
import transfer_cases
import vector_cases

from algo import scalar_ops
from hw import isa
from hw.compile_kernel import SEGMENT
from hw.config import Config

DDR_BYTES = 1 << 18
LIST, SCALARS, BLOCKS, CODE = 0x20000, 0x21000, 0x22000, 0x24000
"""Behind what transfers reach."""

LIST_WORDS, SCALAR_OPS = 64, 60
LOADED, STORED = ("A", "W", "U", "V", "MI", "C"), ("U", "V", "O", "MO", "C")


@dataclass(frozen=True)
class RandomProgram:
    """A segment and the DDR it works on, with as much of hw.program.Program as the cycle model asks for."""

    segment: list[isa.Instruction]
    ddr: np.ndarray
    images: int
    first_image: int

    @property
    def code(self) -> dict[str, bytes]:
        """The segment, by the name of a kernel's."""
        return {SEGMENT: b"".join(isa.encode(f) for f in self.segment)}

    def words(self) -> tuple[tuple[int, bytes], ...]:
        """Return DDR."""
        return ((0, self.ddr.tobytes()),)


def random_program(seed: int, config: Config) -> RandomProgram:
    """Return up to 50 instructions behind loads of image list, scalar programs and weight-block list.

    Array and vector unit do not both use the accumulators, which would be an error.
    """
    rng = np.random.default_rng(seed)
    ddr, images, first = np.frombuffer(rng.bytes(DDR_BYTES), np.uint8).copy(), int(rng.integers(0, 16)), int(rng.integers(0, 20))
    _put(ddr, LIST, [images, *range(first, first + LIST_WORDS - 1)])
    _put(ddr, SCALARS, [_scalar(rng) for _ in range(SCALAR_OPS)])
    accumulators = "vector" if rng.random() < 0.5 else "array"
    engines = [op for op in isa.ENGINES if op != "array" or accumulators == "array"]
    shares = rng.dirichlet(np.ones(len(engines)))
    segment = [_load("IL", LIST, LIST_WORDS), _load("P", SCALARS, SCALAR_OPS), _load("BL", BLOCKS, config.block_words)]
    segment += [_instruction(rng, str(rng.choice(engines, p=shares)), config, accumulators) for _ in range(rng.integers(3, 50))]
    _add_tokens(rng, segment)
    code = b"".join(isa.encode(f) for f in segment)
    ddr[CODE : CODE + len(code)] = np.frombuffer(code, np.uint8)
    return RandomProgram(segment, ddr, images, first)


def _put(ddr: np.ndarray, at: int, words: list[int]) -> None:
    ddr[at : at + 8 * len(words)] = np.array(words, "<u8").view(np.uint8)


def _scalar(rng: np.random.Generator) -> int:
    """Return a scalar operation whose time does not depend on its operands, often one that loads or stores."""
    op = str(rng.choice([*(op for op in scalar_ops.SCALAR_OPS if op not in ("div", "sqrt")), *4 * ("ldc", "stc", "lds")]))
    rd, ra, rb = (int(register) for register in rng.integers(0, scalar_ops.REGISTERS, 3))
    return scalar_ops.encode(op, rd, ra, rb, int(rng.integers(1, 4)))


def _load(memory: str, addr: int, words: int) -> isa.Instruction:
    return isa.Instruction("load", {"mem": isa.MEMORY_NUMBER[memory], "addr": addr, "n_img": 1, "n_grp": 1, "run": words})


def _instruction(rng: np.random.Generator, op: str, config: Config, accumulators: str) -> isa.Instruction:
    if op in ("load", "store"):
        return transfer_cases.random_transfer(rng, config, op, list(LOADED if op == "load" else STORED))
    if op == "array":
        return array_cases.random_instruction(rng, str(rng.choice(array_cases.MODES)), config)
    if op == "vector":
        fields = vector_cases.random_fields(rng, 60)
        if accumulators != "vector":
            fields["u_src"] %= 3
        return isa.Instruction("vector", fields)
    pc = int(rng.integers(0, SCALAR_OPS - 10))
    return isa.Instruction("coefficient", {
        "pc": pc, "length": int(rng.integers(1, SCALAR_OPS - pc + 1)), "ch_base": int(rng.integers(0, 64)),
        "ch_count": int(rng.integers(1, 9)), "ch_stride": int(rng.integers(0, 40)), "sc_base": int(rng.integers(0, 900)),
    })  # fmt: skip


def _add_tokens(rng: np.random.Generator, segment: list[isa.Instruction]) -> None:
    """Let each engine begin behind the first three loads, and a few instructions wait for earlier ones of other engines."""
    begun = {"load"}
    for f in segment:
        if f.op not in begun:
            begun.add(f.op)
            _token(segment[2], f)
    for _ in range(int(rng.integers(0, len(segment) // 2))):
        giver, taker = sorted(int(at) for at in rng.integers(3, len(segment), 2))
        _token(segment[giver], segment[taker])


def _token(giver: isa.Instruction, taker: isa.Instruction) -> None:
    """Let an instruction wait for one before it, unless they are of one engine or wait and signal already."""
    given, taken = 1 << isa.ENGINES.index(taker.op), 1 << isa.ENGINES.index(giver.op)
    if given != taken and not giver["signal"] & given and not taker["wait"] & taken:
        giver.fields["signal"] = giver["signal"] | given
        taker.fields["wait"] = taker["wait"] | taken
