"""The DDR model of the simulated board: data, order, bandwidth, latency, stalls, errors, and what it objects to."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hw import simulate, verilator

PROBE = Path(__file__).parent / "ddr_probe.cpp"
BASE = 0x1000
BEAT = 8
U8, U32, U64 = ctypes.c_uint8, ctypes.c_uint32, ctypes.c_uint64
ADDRESS = ("id", "len", "size", "burst", "valid")


class PortIn(ctypes.Structure):
    _fields_ = [
        ("araddr", U32), ("awaddr", U32), ("wdata", U64),
        *((f"{channel}{name}", U8) for channel in ("ar", "aw") for name in ADDRESS),
        ("wid", U8), ("wstrb", U8), ("wlast", U8), ("wvalid", U8), ("rready", U8), ("bready", U8),
    ]  # fmt: skip


class PortOut(ctypes.Structure):
    _fields_ = [
        ("rdata", U64),
        *((name, U8) for name in ("arready", "awready", "wready", "rid", "rresp", "rlast", "rvalid", "bid", "bresp", "bvalid")),
    ]


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    verilator.require("g++")
    path = tmp_path_factory.mktemp("ddr") / "ddr.so"
    sources = [str(PROBE), str(simulate.SIM / "ddr.cpp")]
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-std=c++17", "-fPIC", "-shared", f"-I{simulate.SIM}"]
    subprocess.run(["g++", *flags, "-o", str(path), *sources], check=True)
    loaded = ctypes.CDLL(str(path))
    loaded.ddr_open.restype = ctypes.c_void_p
    loaded.ddr_open.argtypes = [ctypes.c_void_p, U64, U64, U32, ctypes.c_double, U32, ctypes.c_double, U64, U64, U64]
    loaded.ddr_violation.restype = ctypes.c_char_p
    for name in ("ddr_close", "ddr_clock", "ddr_violation"):
        getattr(loaded, name).argtypes = [ctypes.c_void_p] + [ctypes.c_void_p] * 2 * (name == "ddr_clock")
    return loaded


class Master:
    """Drives both ports: queues of bursts, always ready unless told otherwise; remembers what came and when."""

    def __init__(self, library, size=1 << 14, bandwidth=16.0, latency=40, stall=0.0, read_error=None, write_error=None):
        self.library = library
        self.data = np.random.default_rng(1).integers(0, 256, size, np.uint8)
        none = (1 << 64) - 1
        at = [none if offset is None else BASE + offset for offset in (read_error, write_error)]
        self.handle = library.ddr_open(self.data.ctypes.data, BASE, size, BEAT, bandwidth, latency, stall, 5, *at)
        self.pins = (PortIn * 2)(PortIn(rready=1, bready=1), PortIn(rready=1, bready=1))
        self.out = (PortOut * 2)()
        self.cycle = 0
        self.todo = {(port, channel): [] for port in (0, 1) for channel in ("ar", "aw", "w")}
        self.reads, self.responses = [[], []], [[], []]
        self.asked = [[], []]

    def read(self, port, offset, beats=16, identity=0, size=3, burst=1):
        self.todo[port, "ar"].append(
            {"araddr": BASE + offset, "arlen": beats - 1, "arid": identity, "arsize": size, "arburst": burst}
        )

    def write(self, port, offset, values, identity=0, last=None, strobe=0xFF):
        self.todo[port, "aw"].append(
            {"awaddr": BASE + offset, "awlen": len(values) - 1, "awid": identity, "awsize": 3, "awburst": 1}
        )
        for i, value in enumerate(values):
            end = i == len(values) - 1 if last is None else i == last
            self.todo[port, "w"].append({"wdata": int(value), "wid": identity, "wlast": int(end), "wstrb": strobe})

    def clock(self):
        for (port, channel), bursts in self.todo.items():
            pins = self.pins[port]
            if bursts and not getattr(pins, f"{channel}valid"):
                for name, value in bursts[0].items():
                    setattr(pins, name, value)
                setattr(pins, f"{channel}valid", 1)
        for port in (0, 1):
            out, pins = self.out[port], self.pins[port]
            if out.rvalid and pins.rready:
                self.reads[port].append((self.cycle, out.rid, out.rresp, out.rlast, out.rdata))
            if out.bvalid and pins.bready:
                self.responses[port].append((self.cycle, out.bid, out.bresp))
        taken = [
            key for key, bursts in self.todo.items()
            if bursts and getattr(self.pins[key[0]], f"{key[1]}valid") and getattr(self.out[key[0]], f"{key[1]}ready")
        ]
        self.library.ddr_clock(self.handle, ctypes.byref(self.pins), ctypes.byref(self.out))
        for port, channel in taken:
            if channel == "ar":
                self.asked[port].append(self.cycle)
            self.todo[port, channel].pop(0)
            setattr(self.pins[port], f"{channel}valid", 0)
        self.cycle += 1

    def run(self, cycles):
        for _ in range(cycles):
            self.clock()
        return self

    @property
    def violation(self):
        return self.library.ddr_violation(self.handle).decode()


@pytest.fixture
def master(library):
    made = []

    def make(**settings):
        made.append(Master(library, **settings))
        return made[-1]

    yield make
    for one in made:
        library.ddr_close(one.handle)


def words(data):
    return data.view("<u8").tolist()


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_reads_return_what_is_there_and_writes_arrive(master, stall):
    m = master(stall=stall)
    before = m.data.copy()
    new = np.arange(64, dtype=np.uint64) * 0x0102030405060708
    for i in range(8):
        m.read(i % 2, 128 * i, identity=3)
        m.write(i % 2, 4096 + 128 * i, new[8 * i : 8 * i + 8], identity=i % 4)
    m.run(2000)
    for port in (0, 1):
        got = [value for *_, value in m.reads[port]]
        assert got == [word for i in range(port, 8, 2) for word in words(before[128 * i : 128 * i + 128])]
        assert [i for i, beat in enumerate(m.reads[port]) if beat[3]] == [15, 31, 47, 63]
        assert [identity for _, identity, _ in m.responses[port]] == [i % 4 for i in range(port, 8, 2)]
    for i in range(8):
        assert words(m.data[4096 + 128 * i : 4096 + 128 * i + 64]) == new[8 * i : 8 * i + 8].tolist()
    assert m.violation == ""


def test_a_strobe_keeps_the_other_bytes(master):
    m = master()
    before = m.data.copy()
    m.write(0, 0, [0xFFFFFFFFFFFFFFFF], strobe=0b00010010)
    m.run(100)
    expected = before.copy()
    expected[[1, 4]] = 0xFF
    np.testing.assert_array_equal(m.data, expected)


@pytest.mark.parametrize("latency", [0, 40, 100])
def test_the_first_beat_comes_after_the_latency(master, latency):
    m = master(latency=latency)
    m.read(0, 0)
    m.run(200)
    wait = m.reads[0][0][0] - m.asked[0][0]
    assert wait == max(latency, 0) + 1
    assert [beat[0] for beat in m.reads[0]] == list(range(m.reads[0][0][0], m.reads[0][0][0] + 16))


@pytest.mark.parametrize("bandwidth, cycles", [(16.0, 513), (8.0, 1024), (2.0, 4096), (32.0, 512)])
def test_two_reading_ports_share_the_bandwidth(master, bandwidth, cycles):
    m = master(bandwidth=bandwidth)
    for i in range(64):
        m.read(i % 2, 128 * i)
    m.run(cycles + 200)
    last = max(m.reads[0][-1][0], m.reads[1][-1][0])
    first = min(m.reads[0][0][0], m.reads[1][0][0])
    assert sum(map(len, m.reads)) == 1024
    assert abs(last - first - cycles) <= 8


def test_reads_and_writes_share_the_bandwidth(master):
    m = master(bandwidth=16.0)
    for i in range(64):
        m.read(i % 2, 128 * i)
        m.write(i % 2, 128 * i, [0] * 16)
    m.run(1000)
    assert sum(map(len, m.reads)) < 1024 or sum(map(len, m.responses)) < 64
    m.run(300)
    assert sum(map(len, m.reads)) == 1024 and sum(map(len, m.responses)) == 64


def test_at_most_eight_bursts_wait_on_a_port(master):
    m = master(latency=1000)
    for i in range(12):
        m.read(0, 256 * i)
    m.run(500)
    assert len(m.asked[0]) == 8


def test_different_ids_overtake_only_with_stalls_and_equal_ids_never(master):
    orders = []
    for stall in (0.0, 0.5):
        m = master(stall=stall)
        for i in range(16):
            m.read(0, 256 * i, identity=i % 2)
        m.run(4000)
        ends = [(identity, value) for _, identity, _, last, value in m.reads[0] if last]
        for identity in (0, 1):
            expected = [words(m.data[256 * i + 120 : 256 * i + 128])[0] for i in range(identity, 16, 2)]
            assert [value for one, value in ends if one == identity] == expected
        orders.append([identity for identity, _ in ends])
    assert orders[0] == [0, 1] * 8
    assert orders[1] != orders[0]


def test_equal_seeds_give_equal_cycles(master):
    def cycles():
        m = master(stall=0.3)
        for i in range(8):
            m.read(i % 2, 128 * i)
            m.write(i % 2, 128 * i, [1] * 16)
        m.run(1000)
        return [beat[0] for port in m.reads for beat in port], [beat[0] for port in m.responses for beat in port]

    assert cycles() == cycles()


def test_errors_are_answered_and_write_nothing(master):
    m = master(read_error=512 + 40, write_error=1024)
    before = m.data.copy()
    m.read(0, 512)
    m.read(0, 256)
    m.read(0, len(before))
    m.write(0, 1024, [1] * 16)
    m.write(0, len(before), [1] * 16)
    m.run(400)
    assert [beat[2] for beat in m.reads[0]] == [2] * 16 + [0] * 16 + [3] * 16
    assert [response for *_, response in m.responses[0]] == [2, 3]
    np.testing.assert_array_equal(m.data, before)


BREACHES = {
    "leaves its 128-byte stripe": lambda m: m.read(0, 64),
    "is not aligned": lambda m: m.read(0, 4, beats=1),
    "beats of 4 bytes": lambda m: m.read(0, 0, size=2),
    "not incrementing": lambda m: m.read(0, 0, burst=0),
    "longer than 16": lambda m: m.read(0, 0, beats=17),
    "belongs to the other port": lambda m: m.write(1, 0, [0] * 16),
    "wlast": lambda m: m.write(0, 0, [0] * 16, last=7),
}


@pytest.mark.parametrize("what", BREACHES)
def test_a_breach_of_the_protocol_is_named(master, what):
    m = master()
    BREACHES[what](m)
    m.run(100)
    assert what in m.violation


@pytest.mark.parametrize("pins, what", [
    ({"arvalid": 0}, "read address changed or withdrawn"),
    ({"araddr": BASE + 512}, "read address changed or withdrawn"),
    ({"awvalid": 0}, "write address changed or withdrawn"),
    ({"wdata": 77}, "write data changed or withdrawn"),
])  # fmt: skip
def test_a_payload_that_does_not_wait_is_named(master, pins, what):
    m = master()
    m.read(0, 0)
    m.write(0, 0, [5] * 2)
    m.clock()  # offered, but no ready was driven yet
    for name, value in pins.items():
        setattr(m.pins[0], name, value)
    m.library.ddr_clock(m.handle, ctypes.byref(m.pins), ctypes.byref(m.out))
    assert what in m.violation
