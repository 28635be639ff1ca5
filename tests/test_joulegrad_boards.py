"""`joulegrad boards`: no port is opened unless asked, what answers is named, manifests are judged, every board has its page."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from serial_meter import Terminal
from stand_ins import StandIns
from test_host_board_serial import _Core
from typer.testing import CliRunner

from hw import design, golden_serial
from hw.bitstream import MANIFEST, build
from hw.config import load_config
from hw.flow import flow_of
from joulegrad import boards
from joulegrad.bitstreams import list_bitstreams
from joulegrad.board_tables import age
from joulegrad.cli import app

TINY = load_config("tiny")
TESTS = Path(__file__).parent


def invoke(*words):
    done = CliRunner().invoke(app, ["boards", *words, "--json"])
    return done.exit_code, json.loads(done.stdout), done.stderr


def port(device, description="n/a", serial_number=None):
    return SimpleNamespace(device=device, description=description, serial_number=serial_number)


@pytest.fixture
def ports(monkeypatch):
    """A list of the serial ports that this machine then has, and nothing else that takes time to look at."""
    there = []
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: there)
    monkeypatch.setattr("joulegrad.boards.meters", lambda: ["serial:/dev/ttyACM9"])
    return there


@pytest.fixture
def board():
    """A pseudo-terminal with a core of configuration tiny behind a bridge."""
    bridge = golden_serial.SerialBridge(bytearray(1 << 16), _Core(), clk_hz=50_000_000)
    with Terminal(bridge.answer) as terminal:
        yield terminal


def test_listing_opens_no_port(ports, monkeypatch, tmp_path):
    def opened(*arguments, **options):
        raise AssertionError("a port was opened")

    monkeypatch.setattr("serial.Serial", opened)
    monkeypatch.setattr("os.open", opened)
    ports += [port("/dev/ttyUSB1"), port("/dev/ttyUSB0", "ULX3S FPGA 85K v3.0.8", "D00084")]
    found = boards.attached()
    assert [(entry["url"], entry["what"], entry["state"]) for entry in found] == [
        ("serial:/dev/ttyUSB0", "ULX3S FPGA 85K v3.0.8, serial number D00084", "not asked"),
        ("serial:/dev/ttyUSB1", "serial port", "not asked"),
    ]
    assert all("--probe" in entry["note"] and entry["identity"] is None for entry in found)


def test_probing_names_configuration_clock_and_memory(ports, board, tmp_path):
    with Terminal() as silent:
        ports += [port(board.port), port(silent.port)]
        code, found, _ = invoke("--probe", "--out", str(tmp_path))
    assert code == 0 and not board.heard == b""
    by_url = {entry["url"]: entry for entry in found["attached"]}
    here = by_url[f"serial:{board.port}"]
    assert here["state"] == "here" and here["identity"] == {
        "configuration": "tiny", "config_hash": f"{TINY.config_hash:08x}", "version": here["identity"]["version"],
        "clk_hz": 50e6, "memory_bytes": 1 << 16, "facts": {},
    }  # fmt: skip
    other = by_url[f"serial:{silent.port}"]
    assert other["state"] == "no board" and "does not answer at 3000000 baud" in other["note"]


def test_one_board_is_named(ports, board):
    code, found, _ = invoke(f"serial:{board.port}?answer_s=0.5")
    assert code == 0 and list(found) == ["schema", "attached"]
    assert found["attached"][0]["identity"]["configuration"] == "tiny"
    done = CliRunner().invoke(app, ["boards", f"serial:{board.port}"])
    assert done.exit_code == 0 and "50 MHz, 64 KiB" in " ".join(done.stdout.split())
    code, found, _ = invoke("golden", "--config", "tiny")
    assert code == 0 and found["attached"][0]["identity"]["configuration"] == "tiny"


def test_a_hash_that_no_configuration_has_is_said(ports):
    core = _Core()
    core.values[8] = 0xDEADBEEF
    with Terminal(golden_serial.SerialBridge(bytearray(4096), core).answer) as terminal:
        done = CliRunner().invoke(app, ["boards", f"serial:{terminal.port}"])
    assert done.exit_code == 0 and "no configuration that is known here (deadbeef)" in " ".join(done.stdout.split())


@pytest.mark.parametrize("url, code, sentence", [
    ("serial:/dev/ttyNone", 1, "there is no port /dev/ttyNone"),
    ("serial:", 1, "name a port"),
    ("jtag", 1, "no driver for board 'jtag': there are golden, pynq, serial, sim"),
    ("pynq", 1, "this machine is no PYNQ board"),
])  # fmt: skip
def test_a_board_that_is_not_there_is_one_sentence(url, code, sentence, ports, tmp_path, monkeypatch):
    monkeypatch.setattr("host.pynq_device.LOCKS", tmp_path)  # another test may hold this machine's
    done = CliRunner().invoke(app, ["boards", url, "--json"])
    assert done.exit_code == code and sentence in json.loads(done.stdout)["error"] and done.stderr.count("\n") == 1


@pytest.mark.parametrize("text, names", [
    ("Pynq-Z2", ["pynq-z2"]), ("Avnet Ultra96-V2 Rev1", ["ultra96v2"]), ("ThinkPad", []), ("", []),
])  # fmt: skip
def test_a_machine_that_is_a_board_says_so(text, names, ports, monkeypatch):
    monkeypatch.setattr("host.rail_map.board_text", lambda *arguments: text)
    assert boards.this_machine() == {"calls_itself": text, "boards": names}
    assert [entry["url"] for entry in boards.attached()] == (["pynq"] if names else [])


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A folder with a bitstream of z7020 for PYNQ-Z2 and a report of tiny, made by stand-ins."""
    for name, value in StandIns(tmp_path / "tools").environment().items():
        monkeypatch.setenv(name, value)
    made = design.describe(load_config("z7020"), design.load_board("pynq-z2"))
    build(made, flow_of("vivado"), "the commit", tmp_path / "build")
    return tmp_path / "build"


def change(path, **entries):
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, **entries}))


def test_bitstreams_say_of_what_how_old_and_whether_sources_moved_on(built, ports):
    path = built / "pynq-z2-z7020" / MANIFEST
    (entry,) = list_bitstreams(built, path.stat().st_mtime + 90)
    assert entry == {
        "path": str(path.parent), "board": "pynq-z2", "configuration": "z7020", "tool": "vivado", "clk_hz": 100_000_000,
        "age_s": 90.0, "up_to_date": True, "why": "",
    }  # fmt: skip
    done = CliRunner().invoke(app, ["boards", "--out", str(built)])
    assert done.exit_code == 0 and "z7020 on pynq-z2 with vivado" in " ".join(done.stdout.split())


@pytest.mark.parametrize("entries, why", [
    ({"design_sha256": "other"}, "its sources have changed"),
    ({"board": "basys3"}, "no board 'basys3'"),
    ({"configuration": {**vars(load_config("z7020")), "a_words": 4096, "hash": "0"}}, "configuration z7020 is another one now"),
    ({"files": {"gone.bit": "0"}}, "gone.bit is not there any more"),
    ({"configuration": {"name": "z7020", "hash": "0", "g": 16, "sides": 2}}, "is no manifest of a bitstream: Config"),
    ({"files": 5}, "is no manifest of a bitstream: its files is 5"),
    ({"files": {"../gone.bit": "0"}}, "is no manifest of a bitstream: its files have '../gone.bit': '0'"),
    ({"clk_hz": "fast"}, "is no manifest of a bitstream: its clk_hz is 'fast'"),
    ({"clk_hz": 0}, "is no manifest of a bitstream: its clk_hz is 0"),
    ({"memory": {"base": 0}}, "is no manifest of a bitstream: it has no memory.bytes"),
])  # fmt: skip
def test_bitstreams_that_are_not_up_to_date_say_why(entries, why, built):
    change(built / "pynq-z2-z7020" / MANIFEST, **entries)
    (entry,) = list_bitstreams(built)
    assert not entry["up_to_date"] and why in entry["why"]


def test_on_a_board_without_sources_nobody_can_tell(built, ports, monkeypatch):
    monkeypatch.setattr("hw.simulate.FILES", built / "none")
    (entry,) = list_bitstreams(built)
    assert entry["up_to_date"] is None and entry["why"] == "its sources are not here to compare with"
    assert "simulate in a checkout" in {board["board"]: board["why"] for board in boards.list_boards()}["sim"]
    done = CliRunner().invoke(app, ["boards", "--out", str(built)])
    assert done.exit_code == 0 and "old, its sources are not here" in " ".join(done.stdout.split())


def test_a_manifest_that_is_none_hides_no_other(built):
    (built / "other" / "yosys").mkdir(parents=True)
    (built / "other" / "yosys" / MANIFEST).write_text("{")
    good, bad = list_bitstreams(built)
    assert good["up_to_date"] and bad["board"] is None and "is no manifest" in bad["why"]


def test_every_board_says_which_sensors_can_watch_it(ports, tmp_path):
    code, found, _ = invoke("--out", str(tmp_path / "none"))
    known = {entry["board"]: entry for entry in found["known"]}
    assert code == 0 and set(known) == set(design.boards()) and found["meters"] == ["serial:/dev/ttyACM9"]
    assert known["zcu104"]["own_rails"][0] == "12V" and known["kv260"]["own_rails"] == ["SOM"]
    for name in ("pynq-z1", "pynq-z2", "zedboard", "ulx3s-85f"):
        assert not known[name]["own_rails"] and "meter" in known[name]["why_no_rails"]
    assert known["pynq-z2"]["configuration"] == "z7020" and found["bitstreams"] == []


@pytest.mark.parametrize("seconds, words", [(1.4, "1 s"), (119, "119 s"), (120, "2 minutes"), (7200, "2 hours"), (3e5, "3 days")])
def test_ages_are_in_the_largest_unit(seconds, words):
    assert age(seconds) == words


@pytest.mark.parametrize("name", design.boards())
def test_every_board_has_a_page_that_says_what_was_tried(name):
    """Its tests and commands exist; nothing in it may read as tried on silicon."""
    page, board = boards.PAGES / f"{name}.md", design.load_board(name)
    text = page.read_text()
    assert "**Tried on real hardware: nothing.** No board was at hand" in text
    assert board.part[:4].upper().removeprefix("XC") in text.upper() or board.config in text
    assert f"joulegrad bitstream {board.config} --board {name}" in text
    assert re.search(r"^## What to connect$", text, re.MULTILINE) and re.search(r"^## What was simulated", text, re.MULTILINE)
    files = {path.name: path.read_text() for path in TESTS.glob("test_*.py")}
    assert set(re.findall(r"tests/(test_\w+\.py)", text)) <= set(files)
    for test in re.findall(r"`(test_\w+)(?:\[[^\]]*\])?`", text):
        assert any(f"def {test}(" in source for source in files.values()), test
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (page.parent / link).exists(), link
    assert f"({name}.md)" in (boards.PAGES / "README.md").read_text()
    assert any(entry["page"] == str(page) for entry in boards.known_boards())


def test_the_readme_leads_to_the_pages():
    text = (TESTS.parent / "README.md").read_text()
    assert "](hw/boards/README.md)" in text and "nothing has been tried on silicon" in " ".join(text.split())


@pytest.mark.parametrize("answer, sentence", [
    (lambda data: b"", "does not answer at 3000000 baud: is it powered, its bitstream loaded"),
    (lambda data: b"\xf0\x00\x80" * 5, "bytes came, but no packet; is it another line speed (baud=)"),
])  # fmt: skip
def test_training_on_a_board_that_does_not_answer_is_one_sentence(answer, sentence, tmp_path):
    """Also at a wrong line speed; there is no folder of a run that never was."""
    out = tmp_path / "run"
    words = ["bench", "digits", "--config", "tiny", "--steps", "1", "--batch-size", "2", "--out", str(out), "--json"]
    with Terminal(answer) as terminal:
        done = CliRunner().invoke(app, [*words, "--board", f"serial:{terminal.port}?answer_s=0.02"])
    assert done.exit_code == 1 and sentence in json.loads(done.stdout)["error"] and "Traceback" not in done.stderr
    assert not out.exists()
