"""Build the verilated core of a configuration, or a board around it, as a shared library, cached in build/."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from hw import verilator
from hw.config import Config

HW = Path(__file__).parent
FILES = HW / "files.f"
SIM = HW / "sim"
TOP = "joulegrad_core"
LIBRARY = "libcore.so"
BUILD_TIMEOUT_S, TOOL_TIMEOUT_S = 1800, 60
FLAGS = (
    "--cc", "--exe", "--build", "-j", "2", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert",
    "-Wno-fatal", "+define+JOULEGRAD_ACTIVITY",
    "--output-split", "8000", "--output-split-cfuncs", "2000",
    "-CFLAGS", "-fPIC -fvisibility=hidden -std=c++17", "-LDFLAGS", "-shared",
    "-MAKEFLAGS", "OPT_FAST=-O2 OPT_SLOW=-O0 OPT_GLOBAL=-O2",
)  # fmt: skip
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """What is verilated.

    Attributes:
        top: module.
        rtl: its RTL files, leaves first; those of the core where not given.
        around: folder of the C++ around it, SIM where not given.
        parameters: (name, SystemVerilog constant) of the top beside the core's.
        prefix: of the library's folder, before the configuration's name.
        flags: further ones of Verilator.
        made_from: files elsewhere that the C++ around it includes.
    """

    top: str = TOP
    rtl: tuple[Path, ...] = ()
    around: Path | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    prefix: str = ""
    flags: tuple[str, ...] = ()
    made_from: tuple[Path, ...] = ()

    @property
    def sim(self) -> Path:
        """Folder of the C++ around it."""
        return self.around or SIM

    def all_parameters(self, config: Config) -> dict[str, str]:
        """Return the parameters of the top, by name."""
        return {**parameters(config), **dict(self.parameters)}

    def sources(self) -> list[Path]:
        """Return the RTL files in their order. Raises verilator.ToolError."""
        return list(self.rtl) or rtl_files()


CORE = Model()
"""The core alone, with the DDR model behind it."""


def parameters(config: Config) -> dict[str, str]:
    """Return the parameters of joulegrad_core, by name, as SystemVerilog constants."""
    sizes = {
        "G": config.g,
        "AWords": config.a_words,
        "WWords": config.w_words,
        "AccRows": config.acc_rows,
        "VectorWords": config.vector_words,
        "MaskWords": config.mask_words,
        "TableWords": config.table_words,
        "ProgramWords": config.program_words,
        "ListWords": config.list_words,
        "BlockWords": config.block_words, "PassTaps": config.pass_taps,
        "AxiBits": config.axi_bits,
    }
    return {**{name: str(value) for name, value in sizes.items()}, "ConfigHash": f"32'h{config.config_hash:08x}"}


def rtl_files(files: Path = FILES) -> list[Path]:
    """Return the RTL files of the list in its order, without the package, which is generated.

    Raises:
        verilator.ToolError: the list or a file in it is not there.
    """
    if not files.is_file():
        raise verilator.ToolError(f"the list of RTL files {files} is not there")
    lines = (line.split("//")[0].split("#")[0].strip() for line in files.read_text().splitlines())
    paths = [files.parent / line for line in lines if line and not line.endswith("joulegrad_pkg.sv")]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise verilator.ToolError(f"{files} names files that are not there: {', '.join(missing)}")
    return paths


def digest(config: Config, tool: verilator.Verilator, model: Model = CORE) -> str:
    """Return 16 hex digits that change with any source, size, tool or flag of the library."""
    flags = [*FLAGS, *model.flags]
    state = hashlib.sha256(json.dumps([model.all_parameters(config), tool.version, str(tool.root), _compiler(), flags]).encode())
    package = verilator.write_package()
    for path in (package, verilator.LINT, *model.sources(), *sorted(model.sim.glob("*.*")), *model.made_from):
        state.update(f"\0{path.name}\0".encode())
        state.update(path.read_bytes())
    return state.hexdigest()[:16]


def _compiler() -> str:
    """Return what g++ says of itself, in its first line. Raises verilator.ToolError where it does not run."""
    try:
        done = subprocess.run(["g++", "--version"], capture_output=True, text=True, timeout=TOOL_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise verilator.ToolError(f"g++ does not run: {error}") from None
    if done.returncode or not done.stdout:
        raise verilator.ToolError(f"g++ --version fails with exit code {done.returncode}: {done.stderr.strip()[:200]}")
    return done.stdout.splitlines()[0]


def build(config: Config, folder: Path = verilator.BUILD, model: Model = CORE) -> Path:
    """Return the shared library of a configuration, building it if what it is made from has changed.

    Two processes may build at once: the second waits for the first and takes its library.

    Raises:
        verilator.ToolError: a tool is missing, the folder cannot be written, or the build fails.
    """
    try:
        return _cached(config, folder, verilator.find(), model)
    except OSError as error:
        where = error.filename or folder
        said = f"building the simulated core {config.name} failed: {where} cannot be written: {error.strerror or error}"
        raise verilator.ToolError(said) from None


def _cached(config: Config, folder: Path, tool: verilator.Verilator, model: Model) -> Path:
    target = folder / f"{model.prefix}{config.name}-{digest(config, tool, model)}"
    if (target / LIBRARY).is_file():
        return target / LIBRARY
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / f"{target.name}.lock"):
        if not (target / LIBRARY).is_file():
            _build(config, tool, target, model)
    return target / LIBRARY


def _build(config: Config, tool: verilator.Verilator, target: Path, model: Model = CORE) -> None:
    started = time.monotonic()
    log.info("building the simulated core %s", config.name)
    room = None if _has_spaces(target.parent) else target.parent  # make does not work in a folder with spaces
    with (
        tempfile.TemporaryDirectory(prefix=f"{target.name}.", dir=target.parent) as work,
        tempfile.TemporaryDirectory(prefix=f"{target.name}.", dir=room) as made,
    ):
        objects, finished = Path(made) / "objects", Path(work) / "finished"
        _verilate(config, tool, model, objects, target.with_suffix(".log"))
        finished.mkdir()
        shutil.move(objects / LIBRARY, finished / LIBRARY)
        seconds = round(time.monotonic() - started, 1)
        made = {"config": config.name, "parameters": model.all_parameters(config)}
        record = {**made, "verilator": tool.version, "build_s": seconds}
        (finished / "build.json").write_text(json.dumps(record, indent=1))
        if target.exists():
            shutil.rmtree(target)
        finished.rename(target)
    log.info("built the simulated core %s in %.1f s", config.name, seconds)


def _verilate(config: Config, tool: verilator.Verilator, model: Model, objects: Path, kept: Path) -> None:
    """Build the library in the folder `objects`; keep what the tools said in the file `kept` when they fail."""
    sources = [verilator.LINT, verilator.write_package(), *model.sources(), *sorted(model.sim.glob("*.cpp"))]
    objects.mkdir()
    try:
        with _without_spaces() as plain:
            root = plain(tool.root) if tool.root else None
            # The script `verilator` follows links back to the spaces; the program that it calls does not.
            executable = tool.executable if root == tool.root else root / "bin" / "verilator_bin"
            tool = dataclasses.replace(tool, root=root, executable=executable)
            command = [
                str(executable), *FLAGS, *model.flags, *tool.build_flags, "-CFLAGS", f"-I{plain(model.sim)}",
                "--top-module", model.top, "-o", LIBRARY, "--Mdir", str(plain(objects)),
                *(f"-G{name}={value}" for name, value in model.all_parameters(config).items()),
                *(str(plain(source.parent) / source.name) for source in sources),
            ]  # fmt: skip
            code, text = _call(command, tool.environment())
    except subprocess.TimeoutExpired:
        raise verilator.ToolError(f"building the simulated core {config.name} took more than {BUILD_TIMEOUT_S} s") from None
    if code:
        first = next((line for line in text.splitlines() if "rror" in line and "Exiting" not in line), text.strip()[-300:])
        kept.write_text(text)
        raise verilator.ToolError(f"building the simulated core {config.name} failed: {first} (all of it: {kept})")


def _has_spaces(path: Path | str) -> bool:
    return re.search(r"\s", str(path)) is not None


@contextlib.contextmanager
def _without_spaces():
    """Give a function from a folder to a path of it that make can read: itself, or where it has spaces a link to it.

    Raises:
        verilator.ToolError: the folder for such links has spaces, too.
    """
    with tempfile.TemporaryDirectory(prefix="joulegrad.") as links:

        def plain(folder: Path) -> Path:
            if not _has_spaces(folder):
                return folder
            if _has_spaces(links):
                raise verilator.ToolError(f"make cannot read paths with spaces, but {folder} and {links} have some: set TMPDIR")
            link = Path(links) / hashlib.sha256(str(folder).encode()).hexdigest()[:16]
            if not link.is_symlink():
                link.symlink_to(folder, target_is_directory=True)
            return link

        yield plain


def _call(command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Return the exit code of a command and what it said; whatever ends this call early also ends all that it started.

    Raises:
        subprocess.TimeoutExpired: it took longer than BUILD_TIMEOUT_S.
    """
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        start_new_session=True,
    )  # fmt: skip
    with process:
        try:
            text, _ = process.communicate(timeout=BUILD_TIMEOUT_S)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, text


@contextlib.contextmanager
def _locked(path: Path):
    """Hold an exclusive lock on a file; the system releases it when the process ends, however it ends."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
