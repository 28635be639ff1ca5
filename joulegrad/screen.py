"""What a command says and where: one JSON object on standard output if asked for, everything else on standard error."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

OWN = ("algo", "hw", "host", "measurements", "joulegrad")
"""Packages whose messages are progress for the one who waits."""


def table(title: str, words: Sequence[str], numbers: Sequence[str] = ()) -> Table:
    """Return an empty table: columns of words, wrapped where there is no room, and then columns of numbers, never wrapped.

    It spends little on lines, for 80 columns are what a pipe has.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in words:
        made.add_column(name, overflow="fold")
    for name in numbers:
        made.add_column(name, justify="right", no_wrap=True)
    return made


def _is_ours_or_a_warning(record: logging.LogRecord) -> bool:
    """Libraries such as Dask's log every connection; what they warn of is let through."""
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] in OWN


class Screen:
    """The two streams of a command.

    Attributes:
        json: the result goes to standard output as one JSON object, and nothing else does.
        facts: entries that a failure's JSON object has beside the message: run_dir, the run folder once there is one.
    """

    def __init__(self, as_json: bool):
        from rich.console import Console

        self.json = as_json
        self.facts: dict = {"run_dir": None}
        self._said = False
        self.err = Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self.out = self.err if as_json else Console(file=sys.stdout, highlight=False, soft_wrap=True)
        if as_json:
            self.err.on_broken_pipe = self._unread
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s", force=True)
        logging.getLogger().handlers[0].addFilter(_is_ours_or_a_warning)

    def _unread(self) -> None:
        """Go on in silence where nobody reads standard error any more: rich would end the program without its object."""
        self.err.quiet = True

    def say(self, message: str) -> None:
        """Write a line to standard error; one that a full disk does not take is no reason to lose what is worked at."""
        with suppress(OSError):
            self.err.print(message, markup=False)

    def result(self, data: dict) -> None:
        """Write the command's one JSON object, where it is asked for."""
        self._said = True  # also where it fails half-way: a second object would not mend the first
        if self.json:
            print(json.dumps(data, indent=1, allow_nan=False), flush=True)

    def fail(self, message: str) -> None:
        """Say why the command fails; with `json` also as the JSON object, if none has been written."""
        with suppress(OSError):  # past rich, which would end the program with a code of its own
            if not self.err.quiet:
                self.err.file.write(f"joulegrad: {message}\n")
                self.err.file.flush()
        if not self._said:
            with suppress(OSError):  # where standard output takes nothing, the sentence above stands
                self.result({"schema": 1, "error": message, **self.facts})

    @contextmanager
    def live(self) -> Iterator:
        """Give a function show(text) that keeps one line of a terminal up to date, and does nothing elsewhere."""
        if not self.err.is_terminal:
            yield lambda text: None
            return
        with self.err.status("") as status:
            yield status.update

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator:
        """Give a function step(text) that moves a bar on a terminal, and writes some ten lines elsewhere."""
        if not self.err.is_terminal:
            yield self._lines(what, total)
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        name, text = TextColumn("{task.description}"), TextColumn("{task.fields[text]}")
        with Progress(name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), text, console=self.err) as bar:
            task = bar.add_task(what, total=total, text="")
            yield lambda text="": bar.update(task, advance=1, text=text)

    def _lines(self, what: str, total: int):
        done = 0

        def step(text: str = "") -> None:
            nonlocal done
            done += 1
            if done == total or done % max(1, total // 10) == 0:
                self.say(f"{what} {done}/{total} {text}".rstrip())

        return step
