"""The simulated core is built once per set of sources and sizes, and says in one sentence why it cannot be built."""

import dataclasses
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from waiting import until

from hw import simulate, verilator
from hw.config import load_config
from hw.simulated_core import MemorySettings, SimulatedCore, SimulationError

ROOT = Path(__file__).parents[1]
TINY = load_config("tiny")


def test_an_unchanged_core_is_not_built_again(monkeypatch):
    first = simulate.build(TINY)
    monkeypatch.setattr(simulate, "_build", lambda *_: pytest.fail("built again"))
    assert simulate.build(TINY) == first and first.is_file()


def test_the_digest_changes_with_everything_that_matters(tmp_path, monkeypatch):
    tool = verilator.find()
    seen = {simulate.digest(TINY, tool)}
    assert simulate.digest(TINY, tool) in seen
    seen.add(simulate.digest(dataclasses.replace(TINY, a_words=2048), tool))
    seen.add(simulate.digest(TINY, dataclasses.replace(tool, version="5.999")))
    for source in simulate.SIM.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    monkeypatch.setattr(simulate, "SIM", tmp_path)
    assert simulate.digest(TINY, tool) in seen
    (tmp_path / "ddr.cpp").write_text((tmp_path / "ddr.cpp").read_text() + "// changed\n")
    seen.add(simulate.digest(TINY, tool))
    monkeypatch.setattr(simulate, "FLAGS", (*simulate.FLAGS, "--trace"))
    seen.add(simulate.digest(TINY, tool))
    assert len(seen) == 5
    assert simulate.digest(dataclasses.replace(TINY, clk_hz=1), tool) in seen


def test_two_processes_build_it_once(tmp_path):
    program = (
        "import sys, pathlib, time\n"
        "from hw import simulate\n"
        "from hw.config import load_config\n"
        "def build(config, tool, target, model):\n"
        "    time.sleep(0.5)\n"
        "    target.mkdir()\n"
        "    (target / simulate.LIBRARY).write_text('once')\n"
        "    print('built')\n"
        "simulate._build = build\n"
        "assert simulate.build(load_config('tiny'), pathlib.Path(sys.argv[1])).read_text() == 'once'\n"
    )

    def run(_):
        return subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
        ).stdout

    with ThreadPoolExecutor(3) as pool:
        outputs = list(pool.map(run, range(3)))
    assert sorted(outputs) == ["", "", "built\n"]


def test_a_missing_compiler_is_one_sentence(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    verilator.find.cache_clear()
    with pytest.raises(verilator.ToolError, match=r"needs g\+\+, make, perl, not found on PATH: install"):
        simulate.build(TINY)
    verilator.find.cache_clear()


def test_a_failed_build_leaves_no_library_and_names_the_error(tmp_path, monkeypatch):
    for source in simulate.SIM.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    broken = tmp_path / "ddr.cpp"
    broken.write_text("#error no such memory\n")
    monkeypatch.setattr(simulate, "SIM", tmp_path)
    with pytest.raises(verilator.ToolError, match="building the simulated core tiny failed: .*no such memory"):
        simulate.build(TINY, tmp_path / "build")
    assert not list((tmp_path / "build").glob("*/libcore.so"))


IMPOSSIBLE = [{"ddr_bytes": 1}, {"bytes_per_cycle": 0}, {"stall_probability": 1.0}, {"latency_cycles": -1}]


@pytest.mark.parametrize("settings", IMPOSSIBLE)
def test_impossible_memories_are_refused(settings):
    with pytest.raises(ValueError, match="can be"):
        MemorySettings(**settings)


def test_a_file_list_with_a_hole_is_refused(tmp_path):
    (tmp_path / "files.f").write_text("// comment\nrtl/nothing.sv\n")
    with pytest.raises(verilator.ToolError, match="names files that are not there: .*nothing.sv"):
        simulate.rtl_files(tmp_path / "files.f")


FAKE = """#!/bin/sh
for argument in "$@"; do
  case $argument in
    "-fPIC "*|"OPT_FAST"*) ;;
    *" "*) echo "%Error: a space in $argument" >&2; exit 2 ;;
  esac
  [ "$previous" = --Mdir ] && folder=$argument
  previous=$argument
done
echo library > "$folder/libcore.so"
"""


def fake_tool(folder: Path, text: str) -> verilator.Verilator:
    """A tool that has Verilator's options."""
    executable = folder / "verilator"
    executable.write_text(text)
    executable.chmod(0o755)
    return verilator.Verilator(executable, None, "fake", ())


def test_make_sees_no_space_of_any_folder(tmp_path, monkeypatch):
    here = tmp_path / "a checkout in Köln"
    (here / "sim").mkdir(parents=True)
    (here / "sim" / "core_sim.cpp").write_text("")
    monkeypatch.setattr(simulate, "SIM", here / "sim")
    target = here / "build" / "tiny"
    target.parent.mkdir()
    simulate._build(TINY, fake_tool(tmp_path, FAKE), target)
    assert (target / "libcore.so").read_text() == "library\n"
    assert [path.name for path in target.parent.iterdir()] == ["tiny"]


def test_a_build_that_is_ended_ends_what_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr(simulate, "BUILD_TIMEOUT_S", 4)
    tool = fake_tool(tmp_path, f"#!/bin/sh\nsleep 200 &\necho $! > '{tmp_path}/pid'\nwait\n")
    with pytest.raises(verilator.ToolError, match="tiny took more than 4 s"):
        simulate._build(TINY, tool, tmp_path / "tiny")
    status = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    until(lambda: not status.exists() or status.read_text().split()[2] == "Z", "the end of what was started")


def test_a_broken_compiler_and_an_unwritable_folder_are_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(verilator.ToolError, match="tiny failed: .*file.* cannot be written: "):
        simulate.build(TINY, tmp_path / "file" / "build")
    (tmp_path / "g++").write_text("#!/bin/sh\necho no licence >&2\nexit 3\n")
    (tmp_path / "g++").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(verilator.ToolError, match=r"g\+\+ --version fails with exit code 3: no licence"):
        simulate.build(TINY, tmp_path / "build")


def test_a_closed_core_refuses_what_is_asked_of_it():
    """A null pointer in the library would end the process."""
    core = SimulatedCore(TINY, MemorySettings(ddr_bytes=4096))
    core.close()
    core.close()
    for ask in (lambda: core.read_register(0), lambda: core.write_register(0, 0), lambda: core.run(1), lambda: core.cycles):
        with pytest.raises(SimulationError, match="was closed"):
            ask()


def test_a_damaged_library_is_one_sentence(tmp_path):
    (tmp_path / "libcore.so").write_text("cut short")
    with pytest.raises(verilator.ToolError, match="libcore.so cannot be loaded: .*delete its folder"):
        SimulatedCore(TINY, library=tmp_path / "libcore.so")
