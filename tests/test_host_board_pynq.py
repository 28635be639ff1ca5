"""The PYNQ driver on a stand-in for pynq, backed by the verilated core behind a cache; and all that goes wrong."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from board_segments import RESULT, copies, fail_in_every_way, hanging, start
from command_line import invoke

from algo.emulator import Emulator
from algo.train import export_digits
from host import benchmark_pynq_board, board_pynq, pynq_bitstream, pynq_device, pynq_interrupt, segment_watch, termination
from host.benchmark_serial_board import differing, trained
from host.board import BoardError, BoardTimeout, open_board
from host.board_pynq import Driver
from host.checked_run import CheckedRun
from host.kernel import run_kernel
from host.pynq_memory import LocalMemory, RemoteMemory
from host.readings import HOST_CLOCK
from host.runtime import Runtime
from host.signature import Pattern, SignaturePlayer
from hw import bitstream, isa
from hw.compile import compile_step
from hw.compile_kernel import compile_kernel
from hw.config import load_config
from hw.design import describe, load_board
from hw.pynq_stand_in import HOST, VERSIONS, RemoteDevice, StandInFlow, installed
from hw.simulated_zynq import SimulatedZynq

ROOT = Path(__file__).parents[1]
TINY = load_config("tiny")
LINE = {"armv7l": 32, "aarch64": 64}
DDR_BYTES, STEPS, BATCH = 1 << 20, 2, 2
PROGRAM = 0x10000


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Return make(board, config, **of StandInFlow) -> folder of a bitstream."""

    def make(board="pynq-z2", config=TINY, **flow):
        folder = tmp_path_factory.mktemp("build")
        design = describe(config, load_board(board), "yosys")
        bitstream.build(design, StandInFlow(**flow), "unknown", folder)
        return folder / design.name

    return make


@pytest.fixture(scope="module")
def folder(build):
    return build()


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """Locks of this test's own, and the environment as before."""
    monkeypatch.setattr(pynq_device, "LOCKS", tmp_path)
    monkeypatch.setenv(pynq_device.REMOTE, "")


@contextlib.contextmanager
def opened(folder, version="3.1", config=TINY, ddr_bytes=DDR_BYTES, query="", **settings):
    """Yield the opened board and the Zynq behind it."""
    settings = {"line_bytes": LINE[VERSIONS[version]], **settings}
    with installed(version, **settings) as zynq:
        url = f"pynq:{HOST}?bitstream={folder}&" if version.endswith("remote") else f"pynq:{folder}?"
        with open_board((url + query).rstrip("?&"), config, ddr_bytes=ddr_bytes) as board:
            yield board, zynq


def refused(url, says, version="3.1", config=TINY, **settings):
    """Opening must fail with one sentence and leave nothing behind."""
    with installed(version, **settings) as zynq:
        with pytest.raises(BoardError, match=says) as caught:
            open_board(url, config, ddr_bytes=DDR_BYTES).open()
        assert "\n" not in str(caught.value)
        assert zynq._blocks == []
    assert not _locks_held(pynq_device.LOCKS)


def _locks_held(folder):
    """Return the locks that this process has on files of `folder`, as Linux tells them: kind, pid and device:inode are fields."""
    inodes = {str(path.stat().st_ino) for path in Path(folder).iterdir() if path.is_file()}
    told = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return [line for line in told if "FLOCK" in line and str(os.getpid()) in line and line[-3].rpartition(":")[2] in inodes]


@pytest.fixture(scope="module")
def digits():
    """Digits as exported and compiled for `tiny`, the mini-batches, and what the simulated board makes of them."""
    exported, data = export_digits(seed=0, steps=STEPS, batch=BATCH)
    program = compile_step(exported.step, TINY, exported.tensors)
    batches = [(data.train[i : i + BATCH], data.train_labels[i : i + BATCH]) for i in range(0, STEPS * BATCH, BATCH)]
    with open_board("sim", TINY, ddr_bytes=DDR_BYTES) as board:
        wanted = trained(board, program, exported.state, batches)
    return exported, program, batches, wanted


def digits_differ(folder, digits, version="3.1", hang_s=60, **settings):
    """Return what differs from the simulated board after training, and the Zynq."""
    exported, program, batches, wanted = digits
    with opened(folder, version, query=f"hang_s={hang_s}", **settings) as (board, zynq):
        got = trained(board, program, exported.state, batches)
    assert zynq._blocks == []
    return differing(got, wanted), zynq


@pytest.mark.parametrize("version, evicted", [*((version, 8) for version in VERSIONS), ("3.1", 0), ("4.0", 1)])
def test_digits_train_to_the_same_bits_behind_any_cache(folder, digits, version, evicted):
    different, zynq = digits_differ(folder, digits, version, seed=3, evicted=evicted)
    assert different == []
    assert (zynq.interrupts > 0) == (not version.endswith("remote"))


def no_work(*args):
    """What a forgotten call does."""


def unflushed_while_it_runs(monkeypatch):
    flush = LocalMemory._flush
    runs = []
    monkeypatch.setattr(LocalMemory, "segment_starts", lambda self: runs.append(True))
    monkeypatch.setattr(LocalMemory, "segment_ended", lambda self: runs.clear())
    monkeypatch.setattr(LocalMemory, "_flush", lambda self, start, end: None if runs else flush(self, start, end))


def late_flush(monkeypatch):
    flush, left = LocalMemory._flush, []

    def late(self, start, end):
        for earlier in left:
            flush(self, *earlier)
        left[:] = [(start, end)]

    monkeypatch.setattr(LocalMemory, "_flush", late)


def written_through_a_network(monkeypatch):
    write = RemoteMemory.write

    def at_once(self, address, values):
        write(self, address, values)
        while self._runs and self._buffer.device.zynq.busy():
            time.sleep(0.01)
        self._buffer[address : address + values.size] = values
        self._buffer.flush()

    monkeypatch.setattr(RemoteMemory, "write", at_once)


FAULTS = {
    "no flush": ("3.1", lambda patch: patch.setattr(LocalMemory, "_flush", no_work)),
    "no flush in 3.0": ("3.0", lambda patch: patch.setattr(LocalMemory, "_flush", no_work)),
    "no flush while the core runs": ("3.1", unflushed_while_it_runs),
    "flushed one write late": ("3.1", late_flush),
    "no invalidation before a read": ("3.1", lambda patch: patch.setattr(LocalMemory, "_invalidate", no_work)),
    "no invalidation in 4.0": ("4.0", lambda patch: patch.setattr(LocalMemory, "_invalidate", no_work)),
    "a network's copy not fetched": ("3.1 remote", lambda patch: patch.setattr(RemoteMemory, "_current", True)),
    "a network's copy flushed at once": ("3.1 remote", written_through_a_network),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_driver_that_forgets_its_cache_is_found_out(folder, digits, monkeypatch, name):
    version, plant = FAULTS[name]
    if name == "a network's copy not fetched":
        monkeypatch.setattr(RemoteMemory, "_fetch", forgetful_fetch)
    else:
        plant(monkeypatch)
    try:
        different, _ = digits_differ(folder, digits, version, hang_s=2, evicted=0)
    except BoardError:
        return
    assert different


def forgetful_fetch(self):
    """RemoteMemory._fetch without the fetch."""
    for address, values in self._waiting:
        self._buffer[address : address + values.size] = values


@pytest.mark.parametrize("version", VERSIONS)
def test_bytes_at_any_address_leave_their_neighbours_as_the_core_wrote_them(folder, version):
    """Lines are shared on purpose: the core writes around what the processor writes afterwards."""
    rng = np.random.default_rng(2)
    with opened(folder, version, evicted=8) as (board, zynq):
        board.read(0, 1 << 16)  # the processor remembers all of it
        for _ in range(12):
            source = rng.integers(0, 256, 256, np.uint8)
            board.write(0, source)
            start(board, PROGRAM, copies(1))
            board.wait(30)
            at, size = int(rng.integers(RESULT, RESULT + 200)), int(rng.integers(1, 56))
            mine = rng.integers(0, 256, size, np.uint8)
            board.write(at, mine)
            expected = np.array(source)
            expected[at - RESULT : at - RESULT + size] = mine
            np.testing.assert_array_equal(board.read(RESULT, 256), expected)
            if not version.endswith("remote"):
                offset = board.facts()["memory_address"] - 0x1000_0000
                np.testing.assert_array_equal(zynq.core.ddr[offset + RESULT : offset + RESULT + 256], expected)


def test_a_part_of_a_line_written_without_invalidation_is_found_out(folder, monkeypatch):
    def write(self, address, values):
        self._buffer[address : address + values.size] = values
        self._flush(address, address + values.size)

    monkeypatch.setattr(LocalMemory, "write", write)
    with pytest.raises(AssertionError):
        test_bytes_at_any_address_leave_their_neighbours_as_the_core_wrote_them(folder, "3.1")


def test_checked_runs_evaluation_and_signatures_work_as_on_other_boards(folder, digits):
    exported, program, batches, _ = digits
    with opened(folder) as (board, _):
        assert board.clock == HOST_CLOCK
        emulator = Emulator(exported.step, exported.tensors, exported.state)
        run = CheckedRun(board, program, exported.state, emulator)
        assert len(list(run.train(batches[:1]))) == 1
        assert run.runtime.evaluate(*batches[0]).images == BATCH
        marks = []
        player = SignaturePlayer(board, base=program.ddr_bytes, busy_s=1e-4)
        ticks = itertools.count()  # a clock of 5 ms a look: however long a segment takes, every chip gets its own
        played = player.play("signature before", Pattern(5, 0.02), marks.append, now_s=lambda: next(ticks) * 5e-3, sleep=no_work)
        assert played.segments >= 1 and len(played.on_s) == 8
        assert [mark.edge for mark in marks] == ["begin", "end"] and "aborted" not in marks[1].note
        assert differing_images(board, program, exported) == []


def differing_images(board, program, exported):
    """Return the regions of weights that a fresh runtime does not find as exported."""
    tensors = Runtime(board, program, exported.state).tensors()
    return [name for name, value in exported.tensors.items() if name in tensors and not np.array_equal(tensors[name], value)]


@pytest.mark.parametrize("version", ["3.0", "4.0", "4.0 remote"])
def test_errors_hangs_and_stops_end_in_a_sentence_and_the_next_segment_runs(folder, version):
    with opened(folder, version, query="hang_s=0.3") as (board, zynq):
        fail_in_every_way(board, PROGRAM)
        board.stop()
        board.write(0, np.arange(256, dtype=np.uint8))
        start(board, PROGRAM, copies(2))
        assert board.wait(30)["instructions"] == 4
        np.testing.assert_array_equal(board.read(RESULT, 256), np.arange(256, dtype=np.uint8))
        with pytest.raises(BoardError, match="do not lie in the board's"):
            board.write(DDR_BYTES - 4, bytes(8))
        start(board, PROGRAM, hanging())
        assert zynq.busy()
    with pytest.raises(BoardError, match="not open"):
        board.read(0, 4)
    board.close()


def test_leaving_stops_the_core_before_its_memory_is_given_back(folder, monkeypatch):
    seen = []
    free = SimulatedZynq.free
    monkeypatch.setattr(SimulatedZynq, "free", lambda self, block: (seen.append(self.busy()), free(self, block)))
    with pytest.raises(KeyboardInterrupt):
        with opened(folder) as (board, zynq):
            start(board, PROGRAM, hanging())
            monkeypatch.setattr(board._waits, "pause", interrupted)
            board.wait()
    assert seen == [False]


def test_a_second_ctrl_c_before_it_can_be_put_off_leaves_no_core_running(folder, monkeypatch):
    """A program that forwards the terminal's Ctrl-C makes two of it, and the second meets the board as it is left."""

    @contextlib.contextmanager
    def too_late():
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(termination, "deferred", too_late)
    with pytest.raises(KeyboardInterrupt):
        with opened(folder) as (board, zynq):
            start(board, PROGRAM, hanging())
            monkeypatch.setattr(board._waits, "pause", interrupted)
            board.wait()
    assert zynq._blocks == [] and not _locks_held(pynq_device.LOCKS)


@pytest.mark.parametrize("version", ["3.1", "3.1 remote"])
def test_a_core_that_does_not_stop_is_loaded_again_before_its_memory_is_freed(folder, monkeypatch, caplog, version):
    with opened(folder, version) as (board, zynq):
        stuck(monkeypatch)
        start(board, PROGRAM, hanging())
        with pytest.raises(BoardTimeout, match="does not end its segment: load the bitstream again, or restart the board"):
            board.stop()
    assert zynq._blocks == [] and board_pynq.KEPT == []
    assert "so its bitstream was loaded again" in caplog.text


def test_memory_of_a_core_that_goes_on_is_kept(folder, monkeypatch):
    says = "does not end its segment.* its 1048576 bytes from 0x10001000, to which it may still write, are kept from others"
    with pytest.raises(BoardError, match=says) as caught:
        with opened(folder) as (board, zynq):
            stuck(monkeypatch)
            monkeypatch.setattr(SimulatedZynq, "load", no_work)
            start(board, PROGRAM, hanging())
    assert "\n" not in str(caught.value)
    assert [region.address for region in board_pynq.KEPT] == [block.address for block in zynq._blocks] == [0x1000_1000]
    with pytest.raises(BoardError, match="not open"):
        board.read(0, 4)


def stuck(monkeypatch):
    """From now on a core takes no reset and is busy, until the logic is loaded again."""
    status, loaded = isa.REGISTERS["STATUS"][0], []
    read, load = SimulatedZynq.read, SimulatedZynq.load

    def busy(self, address):
        return read(self, address) | (address & 0xFFFF == status and not loaded)

    monkeypatch.setattr(SimulatedZynq, "read", busy)
    monkeypatch.setattr(SimulatedZynq, "load", lambda self, *of: (loaded.append(True), load(self, *of)))
    monkeypatch.setattr(board_pynq, "KEPT", [])
    monkeypatch.setattr(segment_watch, "STOP_S", 0.05)


def test_what_a_killed_process_left_running_is_stopped_before_memory_is_allocated(folder, monkeypatch, tmp_path):
    seen = []
    allocate = SimulatedZynq.allocate
    with opened(folder) as (board, zynq):
        start(board, PROGRAM, hanging())
        assert zynq.busy()
        monkeypatch.setattr(pynq_device, "LOCKS", tmp_path / "free")  # the lock of a process that is killed is
        pynq_device.LOCKS.mkdir()
        monkeypatch.setattr(SimulatedZynq, "allocate", lambda self, size: (seen.append(self.busy()), allocate(self, size))[1])
        with open_board(f"pynq:{folder}", TINY, ddr_bytes=DDR_BYTES) as another:
            start(another, PROGRAM, copies(1))
            assert another.wait(30)["instructions"] == 2
    assert seen == [False]


def interrupted(limit_s):
    """Ctrl-C while the driver sleeps."""
    raise KeyboardInterrupt


def test_the_driver_sleeps_until_the_interrupt(folder):
    with opened(folder) as (board, zynq):
        assert board.facts()["waits"].startswith("interrupt 61 (/dev/")
        start(board, PROGRAM, copies(800))
        before, began, worked = board.register_accesses, time.monotonic(), time.thread_time()
        assert board.wait(60)["instructions"] == 1600
        looks = 10 + 2 * (time.monotonic() - began) / pynq_interrupt.LOOK_S
        assert zynq.interrupts and board.register_accesses - before < looks
        assert time.thread_time() - worked < 0.2


def test_a_lost_interrupt_costs_half_a_second_at_most(folder, monkeypatch):
    monkeypatch.setattr(SimulatedZynq, "_notify", lambda self: None)
    with opened(folder) as (board, _):
        start(board, PROGRAM, copies(800))
        began = time.monotonic()
        assert board.wait(120)["instructions"] == 1600
        assert time.monotonic() - began < 60


def test_without_an_interrupt_the_driver_polls_and_says_so(folder, build):
    kernel = compile_kernel("grad_weight", 2, 8, 8, 8, 8, 3, 1, 1, TINY)
    for place, why in (
        (folder, "no UIO device for interrupt 61: this image's device tree has none"),
        (build(metadata=False), "the bitstream's description names no interrupt joulegrad_0/irq"),
    ):
        with opened(place, has_interrupt=False) as (board, zynq):
            assert board.facts()["waits"] == f"polls every 0.2 to 5 ms: {why}"
            assert run_kernel(board, kernel).exact
            assert zynq.interrupts == 0 and board.clk_hz == 100e6


def test_the_clock_is_read_back_and_another_one_is_refused(folder, build):
    refused(f"pynq:{folder}", "PL clock 0 of the board runs at 125 MHz, .* made for 100 MHz", clk_hz=125e6)
    # The processing system divides its PLL by whole numbers: what it gives is what the design was timed at.
    with opened(build(clock_period_s=7e-9)) as (board, _):
        assert board.clk_hz == pytest.approx(1e9 / 7, rel=1e-6) and board.facts()["clk_hz"] == board.clk_hz
    # PYNQ takes every Zynq-7000 to have a reference of 50 MHz; a ZedBoard's is 33.333 MHz.
    for metadata in (True, False):
        with opened(build("zedboard", metadata=metadata), name="Zed", reference_mhz=33.333333) as (board, zynq):
            assert zynq.clk_hz == pytest.approx(100e6) and board.clk_hz == pytest.approx(100e6)


@pytest.mark.parametrize("pll_mhz, clk_mhz", [(1500, 100), (1000, 100), (1066.656, 96.9687), (2000, 100), (1450, 96.6667)])
def test_another_pll_than_vivado_took_gives_the_highest_clock_that_timing_allows(build, caplog, pll_mhz, clk_mhz):
    """On UltraScale+, PYNQ takes the dividers of the description as they are, whatever PLL the boot image left before them."""
    with opened(build("kv260"), "4.0", name="KV260", pll_hz=pll_mhz * 1e6) as (board, zynq):
        assert [board.clk_hz, zynq.clk_hz] == pytest.approx([clk_mhz * 1e6] * 2, rel=1e-5)
        assert board.facts()["clk_hz"] == board.clk_hz
    said = [record.getMessage() for record in caplog.records if "PL clock 0 of this board can be had at" in record.getMessage()]
    assert len(said) == (clk_mhz < 100)


@pytest.mark.parametrize("answer", [0, 0xFFFFFFFF])
def test_a_board_that_does_not_answer_is_one_sentence(folder, answer):
    refused(f"pynq:{folder}", f"nothing answers at 0x40000000, .* reads {answer:#010x}", answer=answer)


def test_other_logic_than_the_manifest_says_is_refused(folder, monkeypatch):
    read = SimulatedZynq.read
    wrong = {isa.REGISTERS["ID"][0]: 0x12345678}
    monkeypatch.setattr(SimulatedZynq, "read", lambda self, address: wrong.get(address & 0xFFFF, read(self, address)))
    refused(f"pynq:{folder}", "this is no joulegrad core")
    wrong.clear()
    wrong[isa.REGISTERS["CONFIG_HASH"][0]] = 0x1234
    refused(f"pynq:{folder}", "is of configuration 0x00001234, its manifest says tiny")


def test_programs_and_bitstreams_of_other_configurations_are_refused(folder):
    refused(f"pynq:{folder}", "is of configuration tiny .*, asked for is z7020 ", config=load_config("z7020"))
    other = dataclasses.replace(TINY, name="other", a_words=2048)
    with opened(folder) as (board, _):
        with pytest.raises(BoardError, match="compiled for configuration other"):
            run_kernel(board, compile_kernel("forward", 1, 4, 4, 4, 4, 1, 1, 0, other))


def test_a_full_pool_and_memory_out_of_reach_are_one_sentence(folder, build):
    says = "1048576 bytes of physically contiguous memory are not to be had .*cma= on its command line"
    for version in ("3.0", "3.1"):
        refused(f"pynq:{folder}", says, version, pool_bytes=1 << 16)
    refused(f"pynq:{HOST}?bitstream={folder}", says, "3.1 remote", pool_bytes=1 << 16)
    small = build("kv260")
    manifest = json.loads((small / "manifest.json").read_text())
    manifest["memory"]["bytes"] = 1 << 20
    (small / "manifest.json").write_text(json.dumps(manifest))
    refused(f"pynq:{small}", "lies at 0x10001000, which is not within the 0x100000 bytes from 0x0 that", name="KV260")


def test_damaged_missing_and_foreign_bitstreams_are_refused(folder, build, tmp_path, monkeypatch):
    damaged = build()
    (damaged / "joulegrad.bit").write_text("other bits")
    refused(f"pynq:{damaged}/joulegrad.bit", "is not the file that manifest.json beside it describes")
    (damaged / "joulegrad.bit").unlink()
    refused(f"pynq:{damaged}", "joulegrad.bit, which manifest.json names, cannot be read")
    (damaged / "manifest.json").write_text("{}")
    refused(f"pynq:{damaged}", "is no manifest of a bitstream")
    refused(f"pynq:{tmp_path}/none.bit", "cannot be used without its manifest.json")
    refused(f"pynq:{folder}/other.bit", "describes no bitstream other.bit: it has joulegrad.bit, joulegrad.hwh")
    monkeypatch.setattr(pynq_device, "board_text", lambda: "ZCU104 xlnx,zynqmp-zcu104")
    refused(f"pynq:{folder}", r"is for pynq-z2 \(xc7z020clg400-1\), and this board is a zcu104 .*: make it with")


def test_the_bitstream_of_this_board_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(pynq_bitstream, "BUILD", tmp_path / "nothing")
    monkeypatch.chdir(tmp_path)
    refused("pynq", "no bitstream of configuration tiny: there is no build/<board>-tiny/manifest.json")
    for board in ("pynq-z1", "pynq-z2"):
        bitstream.build(describe(TINY, load_board(board), "yosys"), StandInFlow(), "unknown", tmp_path / "build")
    refused("pynq", r"2 bitstreams of configuration tiny \(.*\): name one with")
    monkeypatch.setattr(pynq_device, "board_text", lambda: "Pynq-Z1 Zynq PYNQ Z1")
    with installed(), open_board("pynq", TINY, ddr_bytes=1 << 16) as board:
        facts = board.facts()
    assert facts["bitstream"].endswith("build/pynq-z1-tiny/joulegrad.bit") and facts["machine"].startswith("Pynq-Z1")
    assert facts["bitstream_board"] == "pynq-z1" and len(facts["bitstream_sha256"]) == 64
    json.dumps(facts)


def test_a_machine_that_is_no_board_is_one_sentence(folder, monkeypatch):
    refused(f"pynq:{folder}", "PYNQ finds no board here", "3.1 remote")
    monkeypatch.setitem(sys.modules, "pynq", None)
    with pytest.raises(BoardError, match="this machine is no PYNQ board"):
        open_board("pynq", TINY).open()


def test_a_board_over_a_network_that_is_gone_is_one_sentence(folder, build):
    url = f"pynq:{HOST}?bitstream={folder}"
    refused(f"pynq:elsewhere.example?bitstream={folder}", "no PYNQ.remote server answers at elsewhere.example", "3.1 remote")
    refused(url, "this PYNQ drives no boards over a network", "3.0")
    refused(f"pynq:{HOST}?bitstream={build(metadata=False)}", "has no .hwh beside it", "3.1 remote")
    with opened(folder, "3.1 remote") as (board, _):
        start(board, PROGRAM, hanging())
        RemoteDevice.answering = False
        with pytest.raises(BoardError, match="the core cannot be watched: failed to connect"):
            board.wait(5)


def test_a_remote_board_does_not_load_an_older_file_of_the_same_name(folder):
    with installed("3.1 remote"):
        RemoteDevice.firmware["joulegrad.bin"] = "an older bitstream"
        with open_board(f"pynq:{HOST}?bitstream={folder}", TINY, ddr_bytes=1 << 16) as board:
            assert board.identity().config_hash == TINY.config_hash


def test_what_the_url_may_say(folder):
    for url, says in {
        "pynq:?hang=3": "unknown options hang: there are bitstream and hang_s",
        "pynq:?hang_s=soon": "hang_s=soon: it is a number",
        f"pynq:{folder}?bitstream=other.bit": "2 bitstreams are named",
    }.items():
        with pytest.raises(BoardError, match=says):
            open_board(url, TINY)
    for url, bits, host in (
        ("pynq", "", ""), ("pynq:192.0.2.7", "", "192.0.2.7"), ("pynq:a/b.bit", "a/b.bit", ""),
        (f"pynq:{folder}", str(folder), ""), ("pynq:b.bit", "b.bit", ""), ("pynq:host?bitstream=b.bit", "b.bit", "host"),
    ):  # fmt: skip
        board = open_board(url, TINY)
        assert isinstance(board, Driver) and (board._bitstream, board._host) == (bits, host)
    with pytest.raises(BoardError, match="use it in a with block"):
        open_board("pynq", TINY).identity()


@pytest.mark.usefixtures("few_held_out_images")
def test_bench_runs_on_it_and_the_run_folder_says_what_it_ran_on(folder, tmp_path):
    path = tmp_path / "run"
    words = ["bench", "digits", "--board", f"pynq:{folder}", "--config", "tiny", "--steps", "1", "--batch-size", "2", "--check"]
    with installed():
        code, _, err = invoke(*words, "--out", path, "--json")
    assert code == 0, err
    record = json.loads((path / "run.json").read_text())
    assert record["result"]["bit_exact"] and record["result"]["counters_exact"]
    facts = record["board_facts"]
    assert facts["clk_hz"] == 100e6 and "stand-in" in facts["pynq"] and facts["waits"].startswith("interrupt 61")


def test_the_proof_runs_and_notices_what_the_cache_loses(capsys):
    assert benchmark_pynq_board.main(["tiny", "--steps", "1", "--batch", "2", "--version", "3.1"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["equal"] and report["faults_noticed"] and report["3.1"]["differs"] == []
    assert "malformed" in report["lose_cleaning"] and report["lose_invalidation"].endswith("results differ")


HELD = """
import sys, time
from pathlib import Path
sys.path.insert(0, "tests")
from host.board import open_board
from hw.pynq_stand_in import installed
from hw.config import load_config
from board_segments import hanging, start
with installed() as zynq:
    try:
        with open_board(f"pynq:{sys.argv[1]}", load_config("tiny"), ddr_bytes=1 << 18) as board:
            start(board, 0x10000, hanging())
            assert zynq.busy()
            print("runs", flush=True)
            board.wait()
    finally:
        print("busy" if zynq.busy() else "stopped", len(zynq._blocks), flush=True)
"""


def test_sigterm_while_the_board_is_left_waits_until_its_core_has_stopped(folder):
    with pytest.raises(SystemExit) as ended, opened(folder) as (board, zynq):
        start(board, 0x10000, hanging())
        halt, stopped = board._halt, []

        def told():
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL and zynq.busy()
            os.kill(os.getpid(), signal.SIGTERM)
            halt()
            stopped.append(not zynq.busy())

        board._halt = told
    assert stopped == [True] and ended.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_board_that_this_process_has_already_is_said_to_be_its_own(folder):
    with opened(folder) as (board, _):
        for second in (board, open_board(f"pynq:{folder}", TINY, ddr_bytes=DDR_BYTES)):
            with pytest.raises(BoardError, match="this process has the board open already: close it first"):
                second.open()
        board.write(0, bytes(4))


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), RuntimeError("No Devices\nFound"), KeyError("axi")])
def test_an_interrupt_that_pynq_fails_to_find_is_polled_for(folder, error):
    def fails(irq):
        raise error

    with installed() as zynq:
        sys.modules["pynq.interrupt"].get_uio_irq = fails
        with open_board(f"pynq:{folder}", TINY, ddr_bytes=DDR_BYTES) as board:
            start(board, PROGRAM, copies(1))
            assert board.wait(30)["instructions"] == 2
            waits = board.facts()["waits"]
        assert zynq._blocks == []
    assert waits.startswith("polls every 0.2 to 5 ms: PYNQ cannot tell where the interrupt is: ") and "\n" not in waits


def test_one_process_has_the_board_and_sigterm_stops_its_core(folder, tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "runs\n", process.stderr.read()
        refused(f"pynq:{folder}", rf"in use by another process \(process {process.pid}\): end that one first")
        process.send_signal(signal.SIGTERM)
        said, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (said, errors, process.returncode) == ("stopped 0\n", "", 128 + signal.SIGTERM)
    with opened(folder):
        pass
