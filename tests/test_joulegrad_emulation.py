"""A run under simulated sensors against the truth that only the specimen knows: U covers it; time and stretches add up."""

from __future__ import annotations

import dataclasses
import itertools
import math
from types import SimpleNamespace

import pytest

from host import specimen
from host.board import open_board
from host.iteration import Iteration
from host.processor_work import ProcessorWork
from host.run_folder import RunFolder
from host.sampler import SamplerError
from host.trace import TraceError, windows
from host.trace_file import TRACE, read_trace
from host.virtual_rails import ACTIVITY, BOARD, NODES, VirtualRails
from host.virtual_run import Stretch
from hw.config import load_config
from joulegrad import virtual_time
from joulegrad.emulation import Emulation
from joulegrad.settings import SettingError
from joulegrad.watch import Plan, sensors_for
from measurements.processor_time import ProcessorModel, iteration_time_s, processor_time
from measurements.sensed import sensed_run

CONFIG = load_config("z7020")
COUNTERS = {"cycles": 120_000, "spad_reads": 100_000, "ddr_read_bytes": 60_000, "ddr_write_bytes": 30_000, "scalar_ops": 100}
TOGGLES = dict(zip(ACTIVITY, (5_000_000, 150_000_000, 20_000_000, 2_000_000), strict=True))
WORK = ProcessorWork(
    register_accesses=20, array_calls=30, elements=320, records=27, exponents=50, copied_bytes=20_000, streamed_bytes=2048,
    streamed_array_calls=4, lookups=30, beside_array_calls=20, beside_bytes=640, first_cycles=120_000, last_cycles=150_000,
    core_cycles=270_000,
)  # fmt: skip


def iteration(streamed_bytes: int = 2048) -> Iteration:
    work = dataclasses.replace(WORK, streamed_bytes=streamed_bytes)
    return Iteration(
        0, 1.0, 3, 32, {}, {"forward": COUNTERS, "backward": COUNTERS | {"cycles": 150_000}},
        {"forward": TOGGLES, "backward": TOGGLES}, work,
    )  # fmt: skip


@pytest.mark.parametrize("streamed_bytes", [2048, 5_000_000])
def test_stretches_last_as_long_as_the_iteration_and_hold_all_its_counts(streamed_bytes):
    done, model = iteration(streamed_bytes), ProcessorModel()
    stretches = virtual_time.iteration(done, CONFIG, model)
    spent = processor_time(done.processor, model)
    expected_s = iteration_time_s(270_000, CONFIG.clk_hz, spent)
    assert math.fsum(stretch.duration_s for stretch in stretches) == pytest.approx(expected_s, rel=1e-12)
    assert [stretch.phase for stretch in stretches[:5]] == ["load", "forward", "other", "backward", "update"]

    def total(node):
        return math.fsum(stretch.counts.get(node, 0) for stretch in stretches)

    assert total("product_toggles") == 300_000_000 and total("busy_cycles") == 270_000
    assert total("processor_s") == pytest.approx(spent.busy_s, rel=1e-12)
    assert total("ddr_write_bytes") == pytest.approx(60_000 + 20_000 + 640 + streamed_bytes, rel=1e-12)
    assert {name for stretch in stretches for name in stretch.counts} <= set(NODES)


def test_a_launch_holds_core_processor_and_rest():
    model, work = ProcessorModel(), ProcessorWork(register_accesses=10, copied_bytes=1000)
    stretches = virtual_time.launch(COUNTERS, TOGGLES, work, CONFIG, model, rest_s=0.5)
    assert [round(stretch.duration_s, 9) for stretch in stretches] == [0.0012, round(10 * 3e-6 + 5e-6, 9), 0.5]
    assert stretches[0].counts["vector_toggles"] == TOGGLES["vector_toggles"]
    assert stretches[1].counts["processor_s"] == stretches[1].duration_s and stretches[2].counts == {}
    (rest,) = virtual_time.launch({}, {}, ProcessorWork(), CONFIG, model, rest_s=0.5)
    assert rest == Stretch(0.5)


def emulated(path, sensors, stretches, plan, monkeypatch, board: int):
    """Run an emulation on another specimen; return its trace and the true energies by window."""
    true: list[tuple[float, float, float]] = []
    advance = VirtualRails.advance

    def remembered(self, duration_s, counts=None):
        for interval in advance(self, duration_s, counts):
            true.append((interval.start_s, interval.end_s, interval.power_w[BOARD]))
            yield interval

    monkeypatch.setattr(VirtualRails, "advance", remembered)
    monkeypatch.setattr(specimen, "board", lambda true_board=specimen.board: true_board(board))
    with Emulation(path / TRACE, sensors, CONFIG, {}, plan) as run:
        run.before()
        run.run([stretches] * 20)
        run.after()
    monkeypatch.undo()

    def energy_j(window) -> float:
        return math.fsum(w * max(0.0, min(b, window.end_s) - max(a, window.start_s)) for a, b, w in true)

    return read_trace(path / TRACE), energy_j


@pytest.mark.parametrize("board", [1, 2, 3])
def test_the_truth_lies_within_u(tmp_path, monkeypatch, board):
    sensors = tuple(
        f"sim?seed={10 * board + number}&{options}"
        for number, options in enumerate(("kind=average", "kind=point&refresh_s=0.0023", "kind=accumulated&refresh_s=0.05"))
    )
    stretches = virtual_time.iteration(iteration(), CONFIG, ProcessorModel())
    trace, energy_j = emulated(tmp_path, sensors, stretches, Plan(repeats=3), monkeypatch, board)
    repeats = windows(trace, "repeat")
    times = repeats[0].iterations / 20
    true_gross_j = math.fsum(energy_j(window) for window in repeats) / len(repeats) / times
    around = [*windows(trace, "idle between"), *windows(trace, "idle after")]
    resting_w = [energy_j(window) / (window.end_s - window.start_s) for window in around]
    idle_w = math.fsum((before + after) / 2 for before, after in itertools.pairwise(resting_w)) / len(repeats)
    true_net_j = true_gross_j - idle_w * math.fsum(stretch.duration_s for stretch in stretches) * 20
    for index in range(len(sensors)):
        found = sensed_run(trace, index)
        assert found.label == "emulated"
        for quantity, true_j in ((found.gross, true_gross_j), (found.net, true_net_j)):
            assert quantity.verdict == "resolved"
            assert abs(quantity.value - true_j) <= quantity.u95, (sensors[index], quantity, true_j)
            assert quantity.u95 < 0.05 * true_j


@pytest.mark.parametrize(("requested", "reachable"), [(0.5, True), (0.012, True), (0.001, False)])
def test_a_pilot_plans_windows_or_says_that_u_cannot_be_reached(tmp_path, requested, reachable):
    with Emulation(tmp_path / TRACE, ("sim",), CONFIG, {}, Plan(repeats=2, requested=requested)) as run:
        run.before()
        run.run([[Stretch(0.05, {"processor_s": 0.05}), Stretch(0.05, {"vector_toggles": 193e8 * 0.05})]] * 10)
        run.after()
    assert run.planned["reachable"] is reachable and run.planned["said"]
    trace = read_trace(tmp_path / TRACE)
    repeats, told = windows(trace, "repeat"), run.replayed["replayed"]
    assert len(repeats) == told["repeats"] and repeats[0].iterations == told["iterations_in_each"] == 10 * told["runs_in_each"]
    assert not windows(trace, "pilot") and len(windows(read_trace(tmp_path / "pilot.sqlite"), "pilot")) == 1
    found = sensed_run(trace, 0)
    if reachable:
        assert found.net.u95 <= 1.2 * requested * found.net.value
    else:
        assert "cannot be reached" in run.planned["said"] and told["repeats"] == 2
        assert found.net.verdict == "resolved" and found.net.u95 > requested * found.net.value


def test_a_noisy_sensor_gets_as_many_and_as_long_windows_as_the_pilot_says(tmp_path):
    with Emulation(tmp_path / TRACE, ("sim?noise=0.05",), CONFIG, {}, Plan(repeats=3, requested=0.03)) as run:
        run.before()
        run.run([[Stretch(0.1, {"processor_s": 0.05, "ddr_read_bytes": 0.4e8})]] * 10)
        run.after()
    told = run.replayed["replayed"]
    assert run.planned["reachable"] and told["iterations_in_each"] >= run.planned["iterations"]
    assert told["repeats"] == run.planned["repeats"]
    assert told["repeats"] * told["runs_in_each"] > 2 * 3 * 10
    assert sensed_run(read_trace(tmp_path / TRACE), 0).net.verdict == "resolved"


def test_a_slow_sensor_gets_longer_windows(tmp_path):
    assert Plan().times(0.011) == 910 and Plan().times(0.5, 1.0) == 160
    with Emulation(tmp_path / TRACE, ("sim?refresh_s=1",), CONFIG, {}, Plan(repeats=2)) as run:
        run.before()
        run.run([[Stretch(0.5, {"processor_s": 0.5})]])
        run.after()
    found = sensed_run(read_trace(tmp_path / TRACE), 0)
    assert not found.net.verdict.startswith("invalid") and not found.gross.verdict.startswith("invalid"), found.gross.verdict


@pytest.mark.parametrize("iterations", [0, 7, 25])
def test_repeats_of_another_number_of_iterations_than_whole_runs_give_no_energy(tmp_path, iterations):
    """A trace may have been changed: what is divided by has to be whole runs, 10 iterations each."""
    with Emulation(tmp_path / TRACE, ("sim",), CONFIG, {}, Plan(repeats=2)) as run:
        run.before()
        run.run([[Stretch(0.1, {"processor_s": 0.1})]] * 10)
        run.after()
    trace = read_trace(tmp_path / TRACE)
    marks = tuple(dataclasses.replace(one, iterations=iterations) if one.name == "repeat" else one for one in trace.marks)
    with pytest.raises(TraceError, match=f"the repeats have {iterations} iterations, the run 10: a repeat holds the run"):
        sensed_run(dataclasses.replace(trace, marks=marks), 0)


def test_a_run_that_breaks_off_leaves_a_readable_aborted_trace(tmp_path):
    with pytest.raises(RuntimeError, match="broken"):
        with Emulation(tmp_path / TRACE, ("sim",), CONFIG) as run:
            run.before()
            run.iteration([Stretch(0.01)])
            raise RuntimeError("broken")
    trace = read_trace(tmp_path / TRACE)
    assert trace.status == "aborted"
    (window,) = windows(trace, "run")
    assert window.note["aborted"] is True and window.iterations == 1
    assert len(trace.sensors[0].readings) > 100


def test_a_sampler_that_dies_ends_the_run_with_a_sentence(tmp_path):
    with pytest.raises(SamplerError, match="died"):
        with Emulation(tmp_path / TRACE, ("sim",), CONFIG) as run:
            run.before()
            run._sampler._process.kill()
            for _ in range(1000):
                run.iteration([Stretch(0.01)])


def test_sensors_for_a_board():
    assert sensors_for("sim", "virtual", ()) == ("sim",)
    assert sensors_for("golden", None, ()) == ()
    assert sensors_for("sim", "virtual", ("sim?seed=1", "sim?seed=2")) == ("sim?seed=1", "sim?seed=2")
    assert sensors_for("serial:/dev/ttyUSB0", "host", ()) == () and sensors_for("golden", None, ("rapl",)) == ("rapl",)
    refused = [
        ("golden", None, ("sim",)), ("sim", "virtual", ("rapl",)), ("sim", "virtual", ("sim", "sim")), ("pynq", "host", ("sim",)),
        ("serial:/dev/ttyUSB0", "host", ("rapl",)), ("serial:/dev/ttyUSB0", "host", ("pmbus",)),
    ]  # fmt: skip
    for board, clock, urls in refused:
        with pytest.raises(SettingError, match="--sensor"):
            sensors_for(board, clock, urls)


def hidden_numbers() -> dict[str, float]:
    """Return everything that is drawn, also the errors of the default instrument."""
    from host.sensor import open_sensor

    found = {}
    for name, value in dataclasses.asdict(specimen.board()).items():
        found |= {f"{name} {key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
    for channel in open_sensor("sim").channels:
        errors = dataclasses.asdict(specimen.instrument(channel.name, channel.specification, 0))
        found |= {f"{channel.name} {name}": value for name, value in errors.items()}
    return {name: value for name, value in found.items() if value != 0.0}


def leaks(folder) -> list[str]:
    """Return which hidden numbers stand in a folder's files, as text or as eight bytes."""
    import struct

    content = b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    forms = {
        name: [repr(abs(value)).split("e")[0][:-4].encode(), struct.pack("<d", value), struct.pack(">d", value)]
        for name, value in hidden_numbers().items()
    }
    seed = str(specimen.SEED).encode()
    found = [name for name, parts in forms.items() if any(part in content for part in parts)]
    return found + (["seed"] if seed in content else [])


def test_run_folder_and_trace_hold_no_hidden_value(tmp_path):
    from joulegrad.bench import _record
    from joulegrad.packing import asked
    from joulegrad.settings import BenchSettings, MemoryStalls
    from measurements.run_energy import EnergyMeter

    settings = BenchSettings("digits", "sim", "z7020", 2, 4, 0, None, False, MemoryStalls())
    packed = SimpleNamespace(iterations=2)
    record = _record(settings, asked("digits"), packed, open_board("sim", CONFIG), EnergyMeter(CONFIG), ("sim",))
    with RunFolder(tmp_path / "run", record) as folder:
        with Emulation(folder.path / TRACE, ("sim",), CONFIG, {"commit": "x"}, Plan(repeats=2)) as run:
            run.before()
            run.run([virtual_time.iteration(iteration(), CONFIG, ProcessorModel())] * 3)
            run.after()
        folder.update(replayed=run.replayed)
        assert len(hidden_numbers()) > 25
        assert not leaks(folder.path)
        gain = specimen.instrument("board_5v0/power", run._sampler.sensors[0].channels[0].specification, 0).gain
        folder.update(leaked={"efficiency": specimen.board().efficiency["pl_1v0"], "rounded": round(gain, 14)})
        assert leaks(folder.path) == ["efficiency pl_1v0", "board_5v0/power gain"]


