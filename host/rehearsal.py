"""An iteration and an evaluation of a packed program without a core: what the processor does in a run, tried before one begins.

Step, state, tables and recipe of a file may each be well-formed and yet name what another of them does not have.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from algo.policies.method import Method, drawn_batches
from host.board import Board, Identity, flat_bytes
from host.host_table import HostTable
from host.runtime import Runtime
from hw import isa
from hw.compile_table import HOST_TABLE
from hw.program import Program, ProgramError

if TYPE_CHECKING:
    from host.packed_program import PackedProgram


class _NoCore(Board):
    """A board that takes every byte and every segment, and computes nothing: every 64-bit word that is read is 1."""

    def __init__(self, config_hash: int, ddr_bytes: int):
        self.ddr_bytes = ddr_bytes
        self._identity = Identity(isa.VERSION, config_hash)

    def open(self) -> None:
        """Nothing is claimed."""

    def close(self) -> None:
        """Nothing is held."""

    def identity(self) -> Identity:
        """Return what the program asks for."""
        return self._identity

    def write(self, address: int, data) -> None:
        """Check the range alone."""
        self.check_range(address, flat_bytes(data).size)

    def read(self, address: int, nbytes: int) -> np.ndarray:
        """Return what no tensor need hold, but every one can."""
        self.check_range(address, nbytes)
        data = np.zeros(nbytes, np.uint8)
        data[::8] = 1
        return data

    def start(self, segment_address: int, count: int) -> None:
        """Nothing runs."""

    def wait(self, timeout_s: float | None = None) -> dict[str, int]:
        """Return counters of nothing."""
        return dict.fromkeys(isa.COUNTER_NAMES, 0)

    def stop(self) -> None:
        """Nothing is under way."""


def rehearse(packed: PackedProgram) -> None:
    """Do what the processor does in an evaluation, in the first executed iteration and for a checkpoint.

    Raises:
        Exception: of whatever kind the part at fault raises.
    """
    _check_first_words(packed.program)
    _check_start(packed)
    program, course = packed.program, packed.course()
    runtime = Runtime(_NoCore(program.config_hash, program.ddr_bytes), program, program.state)
    images, batch = packed.images, program.step.batch
    runtime.evaluate(images.test[:batch], images.test_labels[:batch], course.evaluation_gates())
    for _ in runtime.train(_first(packed, course, program.state.iteration), course):
        pass
    runtime.kept()


def _check_first_words(program: Program) -> None:
    """Work out the host table of the first iteration, of which a run takes over what the file has worked out."""
    words = HostTable(program.step, program.table).words(program.state, program.step.batch)
    brought = program.tensors.get(HOST_TABLE)
    if brought is not None and not np.array_equal(words, brought):
        raise ProgramError("the numbers of its first iteration are not those of its step and its state: export it again")


def _check_start(packed: PackedProgram) -> None:
    """Compare what the recipe says of a run with the state that it starts from, which no hash of packed.json ties to it."""
    state, recipe = packed.program.state, packed.recipe
    rate = Method.from_settings(packed.method, recipe.methods).rate
    asked = {"seed": packed.seed, "optimiser": recipe.with_rate(rate).sgd_for(packed.iterations)}
    for name, found in {"seed": state.seed, "optimiser": state.sgd}.items():
        if found != asked[name]:
            raise ProgramError(f"its recipe asks for {name} {asked[name]}, but it starts with {found}: export it again")


def _first(packed: PackedProgram, course, start: int) -> Iterator[tuple]:
    draw = packed.recipe.batches(packed.images, packed.seed).draw
    return islice(drawn_batches(draw, course, start), 1)
