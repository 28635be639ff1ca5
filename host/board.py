"""What a board can do, and how one is opened by name: an accelerator on silicon, simulated or interpreted."""

from __future__ import annotations

import abc
import importlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from host import termination
from hw.config import Config


class BoardError(RuntimeError):
    """The board could not do what was asked; the message says what, where and what would be right."""


class BoardTimeout(BoardError):
    """The board did not finish in time; it has been stopped."""


class SegmentError(BoardError):
    """The core stopped a segment with an error.

    Attributes:
        code: entry of isa.ERRORS.
        engine: entry of isa.ENGINES, or "fetch".
        index: instruction fetched last when the error was raised, counted from the segment's start.
    """

    def __init__(self, code: str, engine: str, index: int, address: int, detail: str = ""):
        super().__init__(
            f"the core stopped the segment at {address:#x} with {code} in its {engine} engine, at or before instruction {index}"
            + (f": {detail}" if detail else "")
        )
        self.code = code
        self.engine = engine
        self.index = index


@dataclass(frozen=True)
class Identity:
    """What a core says of itself: `config_hash` tells configurations apart, `version` the interface."""

    version: int
    config_hash: int


def flat_bytes(data) -> np.ndarray:
    """Return uint8 (n,): the bytes of bytes or of a contiguous array."""
    return data.reshape(-1).view(np.uint8) if isinstance(data, np.ndarray) else np.frombuffer(data, np.uint8)


class Board(abc.ABC):
    """An accelerator with its DDR. Use it as a context manager: leaving the block stops and releases it.

    DDR addresses are byte offsets from the start of the core's region; times are in seconds.

    Attributes:
        config: the configuration that is asked for; `identity` says what is there.
        clk_hz: the core's clock, of which `cycles` in the counters is a count.
        ddr_bytes: size of the core's region.
        clock: of host.readings.CLOCKS, what the board's runs are timed on; None where it computes without time.
        register_accesses: single control registers read and written since `open`, for models of the processor's time.
    """

    scheme = ""
    clock: str | None = None
    config: Config
    clk_hz: float
    ddr_bytes: int
    register_accesses: int = 0

    def __enter__(self):
        self.open()
        return self

    def __exit__(self, *exc_info):
        begun = False
        try:
            with termination.deferred():
                begun = True
                self.close()
        finally:
            if not begun:  # another Ctrl-C came before it could be put off
                self.close()

    @abc.abstractmethod
    def open(self) -> None:
        """Claim the board and load the design. Raises BoardError."""

    @abc.abstractmethod
    def close(self) -> None:
        """Stop what runs and release the board. Safe to call twice."""

    @abc.abstractmethod
    def identity(self) -> Identity:
        """Return the core's identity. Raises BoardError when it is no joulegrad core."""

    @abc.abstractmethod
    def write(self, address: int, data) -> None:
        """Write bytes (bytes or a contiguous array) to DDR; allowed while a segment runs. Raises BoardError."""

    @abc.abstractmethod
    def read(self, address: int, nbytes: int) -> np.ndarray:
        """Return uint8 (nbytes,), a copy of DDR. Raises BoardError."""

    @abc.abstractmethod
    def start(self, segment_address: int, count: int) -> None:
        """Start `count` instructions and return at once. Raises BoardError when a segment runs."""

    @abc.abstractmethod
    def wait(self, timeout_s: float | None = None) -> dict[str, int]:
        """Return the counters of the segment under way, by isa.COUNTER_NAMES, once it is done.

        Raises:
            SegmentError: the core stopped with an error.
            BoardTimeout: it was not done after `timeout_s`, or made no progress.
        """

    @abc.abstractmethod
    def stop(self) -> None:
        """Abandon the segment under way, if any, and reset the core; DDR keeps what it holds."""

    def activity(self) -> dict[str, int]:
        """Return signal activity counted since `start`, by name; empty where the board has no such counters."""
        return {}

    def facts(self) -> dict:
        """Return JSON data on what was found when the board was opened, for records; empty where nothing is to be said."""
        return {}

    def check_range(self, address: int, nbytes: int) -> None:
        """Raise BoardError unless the bytes lie in DDR."""
        if address < 0 or nbytes < 0 or address + nbytes > self.ddr_bytes:
            raise BoardError(f"{nbytes} bytes at {address:#x} do not lie in the board's {self.ddr_bytes:#x} bytes of DDR")


def schemes() -> list[str]:
    """Return the names of the drivers that are there: the files host/board_<scheme>.py."""
    return sorted(path.stem[len("board_"):] for path in Path(__file__).parent.glob("board_*.py"))


def open_board(url: str, config: Config, **options) -> Board:
    """Return the driver for "scheme" or "scheme:where", not opened yet.

    Args:
        url: for example "sim", "golden" or "serial:<port>".
        config: configuration that the board shall have.
        options: of that driver.

    Raises:
        BoardError: no such driver, or an option that it does not take.
    """
    scheme, _, where = url.partition(":")
    if scheme not in schemes():
        raise BoardError(f"no driver for board {url!r}: there are {', '.join(schemes())}")
    driver = importlib.import_module(f"host.board_{scheme}").Driver
    try:
        return driver(where, config, **options)
    except (TypeError, ValueError) as error:
        raise BoardError(f"board {url!r} cannot be had like this: {error}") from None
