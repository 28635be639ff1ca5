"""Structure of the configurations, by Yosys: the smallest core in full, the others' memories; `make reports` does all in full.

What Yosys leaves is kept in build/ by the hash of its inputs: unchanged RTL is not synthesised again.
"""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import pytest
from mapped_netlists import chain
from stand_ins import StandIns

from hw import flow_yosys, logic_paths, reports, verilator
from hw.config import load_config
from hw.design import Design, DesignError, boards, declared_parameters, describe, load_board, reachable
from hw.flow import Report, flow_of
from hw.isa import HALF_BITS


def structure(design: Design) -> Report:
    """Return Yosys' report of a design, kept since the last time its inputs were the same."""
    flow = flow_of("yosys")
    tools = flow.find()
    state = hashlib.sha256((design.digest + tools[0].version).encode())
    for module in (flow_yosys, logic_paths):
        state.update(Path(module.__file__).read_bytes())
    folder = verilator.BUILD / f"yosys-{design.name}-{design.top}-{state.hexdigest()[:16]}"
    if not folder.is_dir():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        flow.write(design, partial)
        flow.run(design, partial, tools)
        partial.rename(folder)
    return flow.report(design, folder)


def test_the_smallest_core_has_no_fault_of_structure():
    """No latch, no second driver, no loop, no memory lost, no path that 100 MHz leaves no time for; what is in it is named."""
    design = describe(load_config("tiny"), load_board("pynq-z2"), "yosys")
    report = structure(design)
    assert report.faults == ()
    facts, taken = report.facts, report.resources
    assert 5 < facts["paths"][0]["levels"] <= facts["most_levels"] == 9
    assert facts["multipliers"] == {"all": taken["dsp"], "bare": 0} and taken["dsp"] == 8 + 3 * 4 + 4
    assert all(path["start"] and path["end"] and path["luts"] <= path["levels"] for path in facts["paths"])
    where = {name: one["where"] for name, one in facts["memories"].items()}
    assert where["u_memories.u_mem_a.mem_q"] == "block RAM" and where["u_counters.u_words.mem_q"] == "LUT RAM"
    lost = [name for name, place in where.items() if place == "flip-flops" and name.endswith(".mem_q")]
    assert lost == [] and set(where.values()) == {"block RAM", "LUT RAM", "flip-flops", "logic"}
    cells = [one["cells"] for name, one in facts["memories"].items() if one["where"] in ("block RAM", "LUT RAM")]
    assert all(cells) and sum(one.get("RAMB36E1", 0) + one.get("RAMB18E1", 0) / 2 for one in cells) == taken["bram36"]
    assert (
        sum(count for one in cells for kind, count in one.items() if kind.startswith("RAM") and kind[3] != "B")
        == taken["lut_rams"]
    )
    assert 3e-9 < facts["yosys_delay_s"] < 10e-9 and facts["registers"]["u_array.u_mac_array.pe_q"] == 4 * 4 * 2 * HALF_BITS


@pytest.mark.parametrize("board, faults", [("pynq-z2", 1), ("kv260", 0)])
def test_multipliers_are_judged_where_yosys_puts_registers_into_them(board, faults):
    design = describe(load_config("tiny"), load_board(board), "yosys")
    said = flow_yosys.speed_faults(design, [], [logic_paths.Multiplier("u_a.product", 3.0, False)])
    assert said == ["multipliers without registers on both sides: u_a.product"][:faults]


# One board of each family; zu7ev and zu3eg differ from k26 in depths and paired taps.
@pytest.mark.parametrize("board, blocks", [("pynq-z2", ("bram36", 81.5)), ("kv260", ("uram", 5)), ("ulx3s-85f", ("ebr", 42))])
def test_memories_of_a_configuration_are_block_ram(board, blocks):
    """At their full sizes, within what the board leaves the core; BL alone is small enough for LUTs."""
    facts = load_board(board)
    whole = describe(load_config(facts.config), facts, "yosys")
    sources = reachable("core_memories")
    declared = declared_parameters(sources[-1])
    parameters = {name: value for name, value in whole.parameters.items() if name in declared}
    report = structure(
        dataclasses.replace(whole, top="core_memories", sources=(whole.sources[0], *sources), parameters=parameters)
    )
    where = {name: one["where"] for name, one in report.facts["memories"].items()}
    small = where.pop("u_mem_bl.mem_q")
    assert small in ("LUT RAM", "block RAM") and set(where.values()) <= {"block RAM", "UltraRAM"} and len(where) == 11
    kind, count = blocks
    assert report.resources[kind] == count and report.faults == ()


def test_every_board_has_its_report():
    designs = reports.designs([], "yosys")
    assert [design.config.name for design in designs][0] == "tiny"
    assert {design.config.name for design in designs[1:]} == {load_board(name).config for name in boards()}
    assert [design.board.name for design in reports.designs(["zedboard"], "yosys")] == ["zedboard"]
    assert [design.config.name for design in reports.designs([], "nextpnr")] == ["ecp5"]
    with pytest.raises(DesignError, match="no board 'basys3'"):
        reports.designs(["basys3"], "yosys")
    with pytest.raises(DesignError, match="nextpnr does not build for kv260"):
        reports.designs(["kv260"], "nextpnr")


@pytest.fixture
def tools(tmp_path, monkeypatch):
    for name, value in StandIns(tmp_path / "tools").environment().items():
        monkeypatch.setenv(name, value)
    cells = {"creator": "Yosys 0.70", "design": {"estimated_num_lc": 30000, "num_cells_by_type": {"DSP48E1": 180, "FDRE": 2}}}
    monkeypatch.setenv("YOSYS_STATISTICS", json.dumps(cells))
    (tmp_path / "netlist.json").write_text(json.dumps({"modules": {"joulegrad_core": chain(8)}}))
    monkeypatch.setenv("YOSYS_NETLIST", str(tmp_path / "netlist.json"))


def test_reports_go_on_after_a_fault(tools, tmp_path, capsys):
    """k26 wants 150 MHz, where 8 levels fit; ultra96v2 as well; pynq-z2 has 200 of 200 multipliers."""
    assert reports.main(["pynq-z2", "kv260", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert "z7020 on pynq-z2 with yosys: 180 dsp" in said.out and "longest path 8 levels" in said.out and not said.err
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "netlist.json").write_text(json.dumps({"modules": {"joulegrad_core": chain(11)}}))
    assert reports.main(["pynq-z2", "kv260", "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert "pynq-z2-z7020 with yosys: paths too long for 100 MHz" in said.err and "k26 on kv260 with yosys" in said.out
    assert reports.main(["basys3"]) == 2


@pytest.mark.parametrize("mhz, least, code", [("63", "50", 0), ("63", "64", 1)])
def test_a_clock_that_is_needed_is_asked_for(mhz, least, code, tools, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FMAX_MHZ", mhz)
    words = ["--tool", "nextpnr", "--least-mhz", least, "ulx3s-85f", "--out", str(tmp_path / "out")]
    assert reports.main(words) == code
    said = capsys.readouterr()
    assert "at most 63.00 MHz" in said.out
    assert ("ecp5 on ulx3s-85f reaches 63.00 MHz, at least 64 MHz is needed" in said.err) == bool(code)
