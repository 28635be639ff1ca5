"""What every tool's flow offers: find the tool, write its scripts, run them, read its reports."""

from __future__ import annotations

import abc
import importlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from hw.design import Design, DesignError

TIMEOUT_S = 6 * 3600
VERSION_TIMEOUT_S = 120


class FlowError(RuntimeError):
    """A tool is missing or fails, or the result is not good; the message says which and what to do."""


class FlowTimeout(FlowError):
    """A program did not end in time."""


@dataclass(frozen=True)
class Tool:
    """A program that was found, with its version in its own words."""

    name: str
    path: str
    version: str


@dataclass(frozen=True)
class Report:
    """What a tool says of its result.

    Attributes:
        resources: kind of cell or memory to how many.
        worst_slack_s: of setup over all paths, negative where timing is not met; None where the tool has no timing.
        max_clk_hz: the highest clock that timing would allow, None where there is no timing.
        files: what the user takes, by the name it gets in the output folder.
        facts: anything else worth keeping, for the manifest.
        faults: sentences about what must not be; any of them makes the build fail.
    """

    resources: dict[str, float]
    worst_slack_s: float | None
    max_clk_hz: float | None
    files: dict[str, Path] = field(default_factory=dict)
    facts: dict = field(default_factory=dict)
    faults: tuple[str, ...] = ()


class Flow(abc.ABC):
    """One tool, or chain of tools. Subclasses are `Flow` in hw/flow_<tool>.py.

    Attributes:
        get: how to get the tool, one sentence.
        makes_bitstream: False where only a report comes out.
    """

    get = ""
    makes_bitstream = True

    def __init__(self, activity: Path | None = None):
        """Take a SAIF file of signal activity, for tools that report power. Raises FlowError where the tool does not."""
        if activity is not None:
            raise FlowError(f"{type(self).__module__.rpartition('_')[2]} reports no power: give signal activity to vivado only")

    @abc.abstractmethod
    def find(self) -> list[Tool]:
        """Return the programs that the flow calls. Raises FlowError, before any work, when one is missing."""

    @abc.abstractmethod
    def write(self, design: Design, folder: Path) -> list[Path]:
        """Write the tool's scripts and constraints to the folder and return them, in the order they are used."""

    @abc.abstractmethod
    def run(self, design: Design, folder: Path, tools: list[Tool]) -> None:
        """Run what `write` wrote. Raises FlowError with the tool's first error."""

    @abc.abstractmethod
    def report(self, design: Design, folder: Path) -> Report:
        """Read the tool's reports. Raises FlowError when one is missing or says nothing."""

    def program(self, name: str, *version: str) -> Tool:
        """Return a program on PATH with its version.

        Args:
            name: the program.
            version: arguments that make it say its version.

        Raises:
            FlowError: it is not there or does not run.
        """
        path = which(name)
        if path is None:
            raise FlowError(f"{name} is needed and not on PATH: {self.get}")
        if not version:
            return Tool(name, path, "unknown")
        try:
            done = subprocess.run([path, *version], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FlowError(f"{path} {' '.join(version)} does not run: {error}") from None
        said = (done.stdout + done.stderr).strip().splitlines()
        # A program of YoWASP says so when it is run for the first time.
        lines = [line for line in said if not line.startswith("Preparing to run ")]
        if done.returncode or not lines:
            raise FlowError(f"{path} {' '.join(version)} fails with exit code {done.returncode}: {' '.join(lines[:1])}")
        return Tool(name, path, lines[0].strip())


def which(name: str) -> str | None:
    """Return a program on PATH, or beside the Python that runs, where pip puts what it installs."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def flows() -> list[str]:
    """Return the names of the tools that have a flow."""
    return sorted(path.stem.removeprefix("flow_") for path in Path(__file__).parent.glob("flow_*.py"))


def flow_of(tool: str, activity: Path | None = None) -> Flow:
    """Return the flow of a tool.

    Args:
        tool: its name.
        activity: a SAIF file of signal activity for its report of power.

    Raises:
        DesignError: there is no tool of this name.
        FlowError: it has no use for signal activity, or its file is not there.
    """
    if tool not in flows():
        raise DesignError(f"no tool {tool!r}: known are {', '.join(flows())}")
    return importlib.import_module(f"hw.flow_{tool}").Flow(activity)


def call(
    command: list[str], folder: Path, log: str, environment: dict[str, str] | None = None, limit_s: float = TIMEOUT_S
) -> str:
    """Run a program in a folder, keep what it says in a log file there, and return it.

    Raises:
        FlowError: it does not run or fails; the first line that speaks of an error is in the message.
        FlowTimeout: it did not end within the limit.
    """
    path = folder / log
    try:
        with path.open("w", encoding="utf-8") as said:
            done = subprocess.run(
                command, cwd=folder, stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=limit_s,
                env={**os.environ, **(environment or {})},
            )  # fmt: skip
    except OSError as error:
        raise FlowError(f"{command[0]} does not run: {error.strerror or error}") from None
    except subprocess.TimeoutExpired:
        raise FlowTimeout(f"{command[0]} did not end within {limit_s / 60:g} minutes; its log is {path}") from None
    text = path.read_text(encoding="utf-8", errors="replace")
    if done.returncode:
        wrong = [line.strip() for line in text.splitlines() if re.search(r"\berror\b", line, re.IGNORECASE)]
        first = (wrong or text.strip().splitlines()[-1:] or ["it said nothing"])[0]
        name = Path(command[0]).name
        raise FlowError(f"{name} fails with exit code {done.returncode}: {first[:300]}; its log is {path}")
    return text


def copy_sources(design: Design, folder: Path) -> list[str]:
    """Copy the RTL into the folder, so that it can be moved to where the tool is, and return the paths from there."""
    for source in design.sources:
        write_script(folder / "rtl" / source.name, source.read_text(encoding="utf-8"))
    return [f"rtl/{source.name}" for source in design.sources]


def write_script(path: Path, text: str) -> Path:
    """Write a script, only where its text has changed, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return path
