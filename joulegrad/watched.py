"""A run's sensors, chosen and started: on virtual time for the simulated board, in real time for all others."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator

from host.board import Board
from host.readings import VIRTUAL_CLOCK
from host.run_folder import RunFolder
from host.signature import BUSY_S, SignaturePlayer
from host.trace_file import TRACE
from host.virtual_rails import IDLE_DEFINITION
from hw.compile_signature import compile_signature
from hw.program import Program
from joulegrad.emulation import Emulation
from joulegrad.opened import opened
from joulegrad.real_time import RealTime
from joulegrad.screen import Screen
from joulegrad.settings import BenchSettings
from joulegrad.watch import Plan, Watch

RESTING = {
    VIRTUAL_CLOCK: IDLE_DEFINITION,
    "host": "board powered, core configured and clocked, no segment started, the process that drives it sleeps, sensors sampling",
    None: "the process that interprets the program sleeps, this computer does what it does besides, sensors sampling",
}
"""What idle is, by the board's clock; None for the golden board."""

INTERPRETER = "this computer, which interprets the program in place of an accelerator"
"""What a sensor watches beside the golden board."""


def idle_definition(clock: str | None) -> str:
    """Return what net energies of a board with that clock are above."""
    return RESTING[clock]


@contextlib.contextmanager
def watched(
    settings: BenchSettings, sensors: tuple[str, ...], board: Board, program: Program, folder: RunFolder, screen: Screen
) -> Iterator[Watch | None]:
    """Give the run's trace under way, idle before it done, or None where no sensor watches.

    Args:
        board: opened; the program is not loaded yet.
    """
    if not sensors:
        yield None
        return
    budget_s = None if board.clock == VIRTUAL_CLOCK else settings.measuring_s
    plan = Plan(settings.repeats, requested=settings.relative_u, idle_s=settings.idle_s, budget_s=budget_s)
    common = (folder.path / TRACE, sensors, board.config, _known(board, folder), plan)
    if board.clock == VIRTUAL_CLOCK:
        busy = SignaturePlayer(board, base=program.ddr_bytes).busy()
        with opened(Emulation(*common), folder, TRACE, screen) as emulation:
            emulation.before(busy)
            yield emulation
        return
    player = _player(board, program, screen)
    real = RealTime(*common, idle=idle_definition(board.clock), player=player, say=screen.say)
    with opened(real, folder, TRACE, screen):
        real.before()
        yield real


def _known(board: Board, folder: RunFolder) -> dict:
    """Return what the trace says of the run."""
    bitstream = board.facts().get("bitstream_sha256")
    return {
        "run": folder.path.name, "idle_definition": idle_definition(board.clock), "clk_hz": board.clk_hz,
        "clk_hz_requested": board.config.clk_hz, "configuration": board.config.name,
        "program": f"{zlib.crc32((folder.path / folder.record['program']).read_bytes()):08x}", "checkpoint": "iteration 0",
        **({"bitstream": bitstream} if bitstream else {}),
        **{name: folder.record[name] for name in ("commit", "board", "seed")},
    }  # fmt: skip


def _player(board: Board, program: Program, screen: Screen) -> SignaturePlayer | None:
    """Return what plays signatures on a board, where they can be played; else say why not."""
    if board.clock is None:
        screen.say("no signatures: an interpreted segment lasts as long as it lasts")
        return None
    needed = compile_signature(board.config, round(BUSY_S * board.clk_hz), program.ddr_bytes).ddr_bytes
    if needed > board.ddr_bytes:
        screen.say(
            f"no signatures: they need {needed} bytes of memory with the program's, the board has {board.ddr_bytes}; meters with "
            "clocks of their own are taken by their arrivals"
        )
        return None
    return SignaturePlayer(board, base=program.ddr_bytes)
