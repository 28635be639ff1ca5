"""What a report draws is what the run holds: curves, phases, gaps, joules by phase and layer, labels; foreign text stays text."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html.parser
import json
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
from plotly import graph_objects
from report_runs import CONFIG, HOSTILE, IMAGES, bench_run, channel, measured_run, spoil

from host.processor_work import ProcessorWork
from host.readings import HOST_CLOCK, Readings
from host.run_folder import read_iterations
from host.trace import Mark
from host.trace_file import TRACE, TraceWriter, read_trace
from measurements.energy_model import PROCESSOR_BYTES, TABLE, load_table
from measurements.report_energy import NO_LAYER, budget_figure, energy_figures, simulated_by_layer, simulated_by_segment
from measurements.report_envelope import POINTS, Envelope
from measurements.report_page import SCRIPT, STYLE, page
from measurements.report_parts import (
    LABEL_STYLE,
    PHASE_COLOUR,
    Figure,
    ReportError,
    Section,
    Table,
    View,
    distinct,
    plain,
    with_u,
    with_unit,
)
from measurements.report_power import power_figures
from measurements.report_run import load_record, load_run
from measurements.report_runs import accuracy_figure, overview, truth_figures
from measurements.report_tables import provenance_table, sensor_table
from measurements.report_trace import CLOSE_UP, view_trace


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return load_run(bench_run(tmp_path_factory.mktemp("bench") / "run", ("sim?refresh_s=0.001&kind=point",)))


@pytest.fixture(scope="module")
def gap(tmp_path_factory):
    return load_run(measured_run(tmp_path_factory.mktemp("gap") / "run", hole=True))


def one_view(figure: Figure):
    assert len(figure.views) == 1
    return figure.views[0]


def test_an_envelope_is_bounded_and_loses_no_peak():
    rng, parts = np.random.default_rng(1), []
    envelope = Envelope()
    for day in range(40):
        t_s = day * 2160.0 + np.arange(0, 2160, 0.02)
        watts = 2 + 0.1 * rng.standard_normal(len(t_s))
        watts[rng.integers(len(t_s))] = 9 + day / 100
        parts.append((t_s, watts))
        envelope.add(t_s, watts)
    t_s, low, mean, high = envelope.curve()
    assert envelope.rows == 40 * 108_000 and POINTS <= len(t_s) <= 2 * POINTS
    assert np.all(np.diff(t_s) > 0) and np.all(low <= mean) and np.all(mean <= high)
    every_t, every_w = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    for at in (0, 417, len(t_s) - 1):
        inside = np.abs(every_t - t_s[at]) < envelope.width_s / 2 * (1 - 1e-9)
        assert low[at] <= every_w[inside].min() and high[at] >= every_w[inside].max()
        assert mean[at] == pytest.approx(every_w[inside].mean(), rel=1e-3)
    assert np.count_nonzero(high > 8) == 40 and high.max() == every_w.max()


def test_an_envelope_keeps_a_short_series_as_it_is_and_leaves_out_what_is_no_number():
    envelope = Envelope()
    envelope.add(np.array([2.0, 1.0, 3.0]), np.array([5.0, 4.0, np.nan]))
    t_s, low, mean, high = envelope.curve()
    assert t_s.tolist() == [1.0, 2.0] and low.tolist() == mean.tolist() == high.tolist() == [4.0, 5.0] and envelope.width_s == 0


def test_phases_are_shaded_where_the_marks_are_and_rails_have_their_label(bench):
    whole, close = power_figures(bench.trace, "run")
    begin_s = bench.trace.start_s
    forward = sorted(w.start_s - begin_s for w in bench.trace.windows if w.phase == "forward")
    shaded = sorted(s["x0"] for s in one_view(close).layout["shapes"] if s["fillcolor"].startswith(PHASE_COLOUR["forward"]))
    assert shaded == pytest.approx(forward[1 : 1 + len(shaded)]) and CLOSE_UP[0] <= len(shaded) <= CLOSE_UP[1]
    names = [trace["name"] for trace in one_view(close).data if trace.get("showlegend", True)]
    assert names[:4] == [f"{rail} (emulated)" for rail in ("board_5v0", "ddr_1v5", "pl_1v0", "ps_1v0")]
    assert {"load", "forward", "backward", "update"} <= set(names)
    said = [one["text"] for one in one_view(whole).layout["annotations"]]
    assert {"idle", "repeat 0", "repeat 1"} <= set(said) and "gap: no value" not in names
    idle = [s for s in one_view(whole).layout["shapes"] if s["fillcolor"].startswith(PHASE_COLOUR["idle"])]
    assert len(idle) == sum(w.phase == "idle" for w in bench.trace.windows)


def test_the_curve_is_the_traces_power(bench):
    close = one_view(power_figures(bench.trace, "run")[1])
    curve = next(trace for trace in close.data if trace["name"] == "board_5v0 (emulated)")
    readings = read_trace(bench.trace.path).sensors[0].readings
    inside = (readings.t_s >= bench.trace.close_s[0] - 0.003) & (readings.t_s <= bench.trace.close_s[1] + 0.003)
    assert curve["y"] == pytest.approx(readings.values[inside, 0].tolist(), rel=1e-6)
    assert curve["x"] == pytest.approx((readings.t_s[inside] - bench.trace.start_s).tolist(), abs=1e-6)


def test_the_tables_below_the_pictures_are_of_the_values_in_them(bench, tmp_path):
    """Not of those beside a close-up, which only carry the curve to its edges, and each value as good as another."""
    readings, (low_s, high_s) = read_trace(bench.path / TRACE).sensors[0].readings, bench.trace.close_s
    inside = (readings.t_s >= low_s) & (readings.t_s <= high_s)
    for figure, kept in zip(power_figures(bench.trace, "run"), (np.ones(len(readings), bool), inside), strict=True):
        watts, distance_s = readings.values[kept, 0], np.diff(readings.t_s[kept]).max()
        found = [f"{watt:.4g} W" for watt in (watts.min(), watts.mean(), watts.max())]
        assert figure.table.rows[0][2:-1] == (f"{len(watts):,}", *found, f"{1e3 * distance_s:.4g} ms")
    writer = TraceWriter(tmp_path / TRACE, {})
    writer.add_sensor("serial:x", HOST_CLOCK, "measured", (channel(),), {}, None)
    t_s = np.concatenate([np.arange(1000) / 1000, np.arange(1, 101)])
    for part in (t_s[:700], t_s[700:]):
        writer.append(0, Readings.of(part, np.where(part < 1, 10.0, 1.0)))
    writer.close("finished")
    (figure,) = power_figures(view_trace(tmp_path / TRACE), "burst")
    assert figure.table.rows[0][2:-1] == ("1,100", "1 W", f"{10100 / 1100:.4g} W", "10 W", "1 s")


def test_gaps_are_marked_and_the_curve_is_broken_there(gap):
    whole = one_view(power_figures(gap.trace, "run")[0])
    (hole,) = [shape for shape in whole.layout["shapes"] if shape.get("name") == "gap"]
    assert (hole["x0"], hole["x1"]) == pytest.approx((20.0, 21.0), abs=0.02)
    curve = next(trace for trace in whole.data if trace["name"] == "board (measured)")
    at = curve["x"].index(None)
    assert curve["y"][at] is None and curve["x"][at - 1] < 20.1 and curve["x"][at + 1] > 20.9
    assert "gap: no value" in [trace["name"] for trace in whole.data]


def test_power_of_a_running_total_is_its_slope(tmp_path):
    t_s = np.arange(0, 20, 0.1)
    writer = TraceWriter(tmp_path / TRACE, {})
    writer.add_sensor("rapl", HOST_CLOCK, "measured", (channel("package", "J", "accumulated", wrap=30.0),), {}, 0.1)
    writer.append(0, Readings.of(t_s, (4.0 * t_s) % 30.0))
    writer.mark(Mark(5.0, HOST_CLOCK, "begin", "run"))
    writer.close("aborted")
    view = view_trace(tmp_path / TRACE)
    _, low, _, high = view.rails[0].whole.curve()
    assert low.min() == pytest.approx(4.0) and high.max() == pytest.approx(4.0)
    assert view.open_marks == 1 and view.status == "aborted" and view.close_s is None


def test_joules_by_phase_and_layer_sum_to_the_runs(bench):
    table = load_table(TABLE)
    by_segment = simulated_by_segment(bench, table)
    energies = bench.result["run_energy_j"]["simulated"]
    assert math.fsum(one.total for one in by_segment.values()) == pytest.approx(energies["gross"]["value"], rel=1e-12)
    assert math.fsum(one.net for one in by_segment.values()) == pytest.approx(energies["net"]["value"], rel=1e-12)
    by_layer = simulated_by_layer(bench, table)
    core_j = by_segment["forward"].net + by_segment["backward"].net
    assert math.fsum(by_layer.values()) == pytest.approx(core_j, rel=1e-9)
    assert ("blocks.0.conv1", "grad_weight") in by_layer and (NO_LAYER, "tables") not in by_layer


def test_what_the_table_pays_for_toggles_belongs_to_no_layer(bench):
    table = load_table(TABLE)
    paid = dataclasses.replace(
        table, event_pj={**table.event_pj, "product_toggles": 0.5}, unit={**table.unit, "product_toggles": "event"},
        share={**table.share, "product_toggles": "array"}, activity=frozenset(["product_toggles"]),
    )  # fmt: skip
    found = simulated_by_layer(bench, paid)
    assert found[NO_LAYER, "tables"] == pytest.approx(2 * len(IMAGES) * 60_000_000 * 0.5e-12, rel=1e-6)


def test_a_table_that_pays_for_what_the_processor_copies_is_divided_too(bench):
    table = load_table(TABLE)
    paid = dataclasses.replace(
        table, event_pj={**table.event_pj, PROCESSOR_BYTES: 100.0}, unit={**table.unit, PROCESSOR_BYTES: "event"},
        share={**table.share, PROCESSOR_BYTES: "memory"}, activity=frozenset([PROCESSOR_BYTES]),
    )  # fmt: skip
    found, plain_one = (simulated_by_segment(bench, one) for one in (paid, table))
    copied = sum(ProcessorWork(**line["processor"]).moved_bytes for line in read_iterations(bench.path))
    assert copied and found["processor"].memory == pytest.approx(copied * 100e-12)
    assert {name: found[name] for name in ("forward", "backward")} == {name: plain_one[name] for name in ("forward", "backward")}


def test_figures_of_phases_layers_and_budget_show_these_numbers(bench):
    phases, layers = energy_figures(bench, "run")
    scale = {"mJ": 1e-3, "µJ": 1e-6}[re.search(r"\((.*)\)", one_view(phases).layout["xaxis"]["title"]["text"])[1]]
    drawn = {trace["name"]: dict(zip(trace["y"], trace["x"], strict=True)) for trace in one_view(phases).data}
    by_segment = simulated_by_segment(bench, load_table(TABLE))
    assert drawn["array (simulated)"]["backward"] * scale == pytest.approx(by_segment["backward"].array)
    assert "By the sensor" in phases.said and "emulated" in phases.said
    assert "energy model" in layers.said and "simulated" in layers.said
    assert one_view(layers).data[0]["y"] == one_view(layers).data[1]["y"]
    pooled = bench.sensed[0].pooled
    figure = budget_figure(pooled.budget_gross, pooled.budget_net, "emulated", "the mean", "run")
    for trace, budget in zip(one_view(figure).data, (pooled.budget_gross, pooled.budget_net), strict=True):
        assert math.fsum(trace["x"]) == pytest.approx(100)
        at = trace["y"].index(budget.terms[0].name)
        assert trace["x"][at] == pytest.approx(100 * budget.terms[0].u_j ** 2 / budget.u_j**2)
    assert {row[4] for row in figure.table.rows} >= {"A", "B"}


def test_windows_of_a_measurement_have_their_bars(gap):
    (figure,) = energy_figures(gap, "run")
    data = one_view(figure).data
    assert data[0]["y"] == ["run", "epoch", "epoch 1", "epoch 2", "epoch 3"]
    gross = [one.gross for one in gap.every]
    assert data[0]["x"] == pytest.approx([q.value for q in gross])
    assert data[0]["error_x"]["array"] == [q.u95 for q in gross] and gross[0].u95 is None
    assert data[0]["name"] == "gross (measured)"


@pytest.fixture
def three_labels(tmp_path):
    """Runs with simulated and emulated, and with simulated and measured energies; and accuracies."""
    def quantity(value, u95):
        verdict = "resolved" if u95 is not None else "invalid: made up"
        return {"value": value, "u95": u95, "verdict": verdict, "scope": "the board"}

    runs = []
    for number, truth in enumerate(("emulated", "emulated", "measured")):
        path = tmp_path / f"run{number}"
        path.mkdir()
        energies = {"simulated": {"gross": quantity(1.0 + number, None), "net": quantity(0.5 + number, None)},
                    truth: {"gross": quantity(1.1 + number, 0.1), "net": quantity(0.6 + number, 0.05)}}  # fmt: skip
        result = {"run_energy_j": energies, "energy_per_executed_iteration_j": energies, "accuracy": 0.9 + number / 100}
        record = {"schema": 1, "status": "finished", "benchmark": "digits", "result": result}
        record["config"] = dataclasses.asdict(CONFIG)
        (path / "run.json").write_text(json.dumps(record))
        runs.append(load_record(path))
    return runs


def test_energy_against_accuracy_keeps_labels_apart(three_labels):
    view = accuracy_figure(three_labels).views[0]
    data = {trace["name"]: trace for trace in view.data}
    assert list(data) == ["simulated", "emulated", "measured"]
    assert data["simulated"]["x"] == [1.0, 2.0, 3.0] and data["simulated"]["error_x"]["array"] == [None, None, None]
    assert data["emulated"]["x"] == pytest.approx([1.1, 2.1]) and data["emulated"]["y"] == pytest.approx([90, 91])
    assert data["measured"]["error_x"]["array"] == pytest.approx([0.1])
    assert len({trace["marker"]["symbol"] for trace in data.values()}) == len(LABEL_STYLE) == 3


def test_truths_are_named_and_never_in_one_picture(three_labels):
    figures, _ = truth_figures(three_labels)
    assert [figure.key for figure in figures] == ["truth-emulated", "truth-measured"]
    emulated, measured = figures
    assert "nothing about a board" in emulated.said and "nothing about a board" not in measured.said
    line, points = emulated.views[0].data
    assert line["x"] == line["y"] and points["x"] == pytest.approx([0.6, 1.6]) and points["y"] == [0.5, 1.5]
    assert points["error_x"]["array"] == pytest.approx([0.05, 0.05]) and points["error_y"]["array"] == [None, None]
    assert len(measured.views[0].data[1]["x"]) == 1
    assert "emulated" in points["name"] and "emulated" in emulated.views[0].layout["xaxis"]["title"]["text"]
    assert len(overview(three_labels).rows) == 6


def test_tables_say_what_must_stand_beside_a_number(bench, gap):
    said = dict(provenance_table(bench).rows)
    assert said["commit"] == "0" * 40 and said["seed"] == "0" and said["config hash"] == f"{CONFIG.config_hash:08x}"
    assert said["raw trace SHA-256"] == hashlib.sha256(bench.trace.path.read_bytes()).hexdigest()
    assert "virtual" in said["clocks"] and "host" in dict(provenance_table(gap).rows)["clocks"]
    row = sensor_table(gap.trace, gap).rows[0]
    assert row[1] == "measured" and "0.5 %" in row and "none" in row
    assert "made for a test" in sensor_table(gap.trace, gap).note


class Seen(html.parser.HTMLParser):
    """Elements with their attributes, and the text of scripts."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] == "script":
            self.scripts[-1] += data

    def handle_endtag(self, tag):
        if tag == "script":
            self.elements.append(("/script", {}))


def sections(*runs) -> list[Section]:
    parts = [part for i, run in enumerate(runs) for part in (*power_figures(run.trace, f"r{i}"), *energy_figures(run, f"r{i}"))]
    table = Table(HOSTILE, (HOSTILE,), ((HOSTILE,),), HOSTILE)
    return [Section("all", HOSTILE, (HOSTILE,), (*parts, table), (HOSTILE,), (HOSTILE,))]


def test_foreign_text_stays_text_and_only_the_named_scripts_may_run(tmp_path):
    run = load_run(measured_run(tmp_path / "run", HOSTILE, HOSTILE))
    text = page(HOSTILE, HOSTILE, sections(run), "window.Plotly = {};")
    seen = Seen(text)
    tags = [tag for tag, _ in seen.elements]
    assert tags.count("script") == 3 and "img" not in tags and "a" in tags
    assert not [name for _, attributes in seen.elements for name in attributes if name.startswith("on")]
    assert not [a for _, a in seen.elements if "src" in a or not a.get("href", "#").startswith("#")]
    policy = next(a["content"] for tag, a in seen.elements if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    hashes = re.findall(r"'sha256-(.*?)'", policy)
    assert hashes == [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in seen.scripts[1:]]
    assert policy.startswith("default-src 'none'; script-src 'sha256") and "unsafe-inline" not in policy.split("style-src")[0]
    figures = json.loads(seen.scripts[0])
    names = [trace["name"] for figure in figures.values() for view in figure["views"] for trace in view["data"]]
    assert any("&lt;/script&gt;" in name for name in names) and not any("<" in name for name in names)
    assert "\u202e" not in text and "http:" not in text and "https:" not in text


def test_text_in_figures_cannot_end_the_data():
    figure = Figure("one", HOSTILE, HOSTILE, (View(HOSTILE, [{"name": "</script><script>x & y</script>"}], {}),))
    seen = Seen(page("title", "lead", [Section("all", "title", parts=(figure,))], "window.Plotly = {};"))
    assert len(seen.scripts) == 3
    assert json.loads(seen.scripts[0])["one"]["views"][0]["data"][0]["name"] == "</script><script>x & y</script>"


def test_figures_are_plotlys_and_their_colours_the_stylesheets(bench, gap, three_labels):
    figures = [part for part in sections(bench, gap)[0].parts if isinstance(part, Figure)]
    figures += [accuracy_figure(three_labels), *truth_figures(three_labels)[0]]
    style = STYLE.read_text()
    palettes = [set(re.findall(r"--(\w+): #[0-9a-f]{6};", part)) for part in style.split("prefers-color-scheme")]
    coloured = json.dumps([dataclasses.asdict(figure) for figure in figures])
    names = set(re.findall(r'"@(\w+)(?:/[\d.]+)?"', coloured))
    assert names <= palettes[0] and {"blue", "orange", "grey"} <= names
    assert not palettes[1] - palettes[0]
    for figure in figures:
        for view in figure.views:
            said = json.dumps([view.data, view.layout], allow_nan=False)
            said = re.sub(r'"@\w+(/[\d.]+)?"', '"#000000"', said)
            graph_objects.Figure(*json.loads(said))  # raises at a name or value that plotly does not know
            for axis in ("xaxis", "yaxis"):
                title = view.layout[axis]["title"]["text"]
                assert view.layout[axis].get("type") == "category" or re.search(r"\((s|W|%|[mµnpk]?J)\)$", title), title
    assert "https:" not in SCRIPT.read_text()


def test_numbers_have_units_and_as_many_digits_as_their_uncertainty():
    assert with_u(0.072433, 0.000444) == "72.43 ± 0.44 mJ" and with_u(12.3456, None) == "12.35 J"
    assert with_u(0.0, 0.0) == "0 ± 0 J" and with_u(0.0123456, 0.0) == "12.35 ± 0 mJ", "no digits of an uncertainty that is none"
    assert with_u(1.0, 0.0996) == "1.00 ± 0.10 J" and with_u(-12.34, 9.96) == "-12 ± 10 J"
    assert with_u(1e-3, 0.02) == "1 ± 20 mJ" and with_unit(None, "W") == "none" and with_unit(3.1e-7, "s") == "310 ns"
    assert plain("a\n\x00b" + "c" * 999, 20) == "a b" + "c" * 14 + "..." and distinct(["a", "b", "a"]) == ["a", "b", "a (2)"]


def test_a_damaged_record_is_one_sentence(tmp_path, bench):
    lacking = {"value": 1.0, "verdict": "resolved", "scope": "all"}
    for number, energies in enumerate((
        ["x"], {"measured": 3}, {"measured": {"gross": {"value": "1"}}}, {"measured": {"gross": lacking}}
    )):  # fmt: skip
        path = measured_run(tmp_path / f"run{number}")
        spoil(path, lambda record, energies=energies: record["result"].__setitem__("run_energy_j", energies))
        with pytest.raises(ReportError, match="is damaged"):
            overview([load_record(path)])


def test_the_calibration_that_was_used_is_dated(tmp_path):
    run = load_run(measured_run(tmp_path / "run"))
    part = run.joules[0].parts[0]
    series = dataclasses.replace(part.series, calibration=SimpleNamespace(date="2026-02-03"))
    joules = dataclasses.replace(run.joules[0], parts=(dataclasses.replace(part, series=series),))
    calibrated = SimpleNamespace(joules=[joules])
    assert "2026-02-03" in sensor_table(run.trace, calibrated).rows[0] and "none" in sensor_table(run.trace, run).rows[0][-1]
