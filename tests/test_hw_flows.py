"""Flows of all tools with stand-ins first on PATH: scripts as stored, calls as they have to be, one sentence where it goes wrong.

The stored copies are in tests/golden_flows; JOULEGRAD_UPDATE_GOLDEN=1 rewrites them.
"""

import dataclasses
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from mapped_netlists import bare_multiplier, chain, register_of
from stand_ins import STUB, StandIns, tclsh

from hw import flow, verilator, yosys
from hw.bitstream import MANIFEST, build
from hw.config import load_config
from hw.design import PRIMITIVES, boards, describe, load_board
from hw.flow import FlowError, flow_of

GOLDEN = Path(__file__).parent / "golden_flows"
ZYNQ = [name for name in boards() if load_board(name).has_processor]
CELLS = {
    "DSP48E1": 180, "LUT6": 20000, "LUT2": 5000, "FDRE": 30000, "RAMB36E1": 100, "RAMB18E1": 3, "CARRY4": 900, "RAM32M": 80,
}  # fmt: skip
STATISTICS = {"creator": "Yosys 0.70", "design": {"estimated_num_lc": 30000, "num_cells_by_type": CELLS}}
SMALL = """
module speck (input logic clk_25mhz_i, btn_n_i, rx_i, output logic tx_o, wifi_gpio0_o, output logic [7:0] led_o);
  logic clk, locked;
  logic [15:0] count_q;
  logic signed [7:0] a_q, b_q;
  logic signed [15:0] product_q;
  EHXPLLL #(.CLKI_DIV(2), .CLKFB_DIV(5), .CLKOP_DIV(10), .CLKOP_CPHASE(9)) u_pll (
    .CLKI(clk_25mhz_i), .CLKFB(clk), .PHASESEL1(1'b0), .PHASESEL0(1'b0), .PHASEDIR(1'b0), .PHASESTEP(1'b0),
    .PHASELOADREG(1'b0), .STDBY(1'b0), .PLLWAKESYNC(1'b0), .RST(1'b0), .ENCLKOP(1'b0), .CLKOP(clk), .LOCK(locked));
  always_ff @(posedge clk) begin
    count_q <= count_q + 16'(locked && btn_n_i);
    a_q <= {a_q[6:0], rx_i};
    b_q <= a_q + 8'sd3;
    product_q <= a_q * b_q;
    tx_o <= ^product_q;
  end
  assign led_o = count_q[15:8];
  assign wifi_gpio0_o = 1'b1;
endmodule
"""


@pytest.fixture
def tools(tmp_path, monkeypatch):
    stand_ins = StandIns(tmp_path / "tools")
    for name, value in stand_ins.environment().items():
        monkeypatch.setenv(name, value)
    return stand_ins


def make(board: str, tool: str | None, out: Path, config: str | None = None, activity: Path | None = None) -> dict:
    design = describe(load_config(config or ("ecp5" if board == "ulx3s-85f" else "z7020")), load_board(board), tool)
    return build(design, flow_of(design.tool, activity), "the commit", out)


def as_stored(text: str) -> str:
    """Return a script without the list of RTL files and the configuration's hash, which have their tests elsewhere."""
    text = re.sub(r"(?:^  \$here/rtl/\S+ \\\n)+", "  <sources> \\\n", text, flags=re.MULTILINE)
    text = re.sub(r"rtl/\S+(?: rtl/\S+)*", "<sources>", text)
    return re.sub(r"32'h[0-9a-f]{8}", "<hash>", text)


CASES = [*((board, "vivado") for board in ZYNQ), ("pynq-z2", "openxc7"), ("zedboard", "openxc7"), ("ulx3s-85f", "nextpnr"),
         ("pynq-z2", "yosys"), ("kv260", "yosys"), ("ulx3s-85f", "yosys")]  # fmt: skip


@pytest.mark.parametrize("board, tool", CASES)
def test_scripts_are_as_stored(board, tool, tmp_path):
    design = describe(load_config("ecp5" if board == "ulx3s-85f" else "z7020"), load_board(board), tool)
    written = flow_of(tool).write(design, tmp_path)
    # All boards of a family have the same wrapper; two are stored.
    for path in written if tool != "vivado" or board in ("pynq-z2", "kv260") else written[:1]:
        stored = GOLDEN / f"{board}-{tool}" / path.name
        text = as_stored(path.read_text())
        assert str(tmp_path) not in text and str(verilator.RTL) not in text
        if os.environ.get("JOULEGRAD_UPDATE_GOLDEN"):
            stored.parent.mkdir(parents=True, exist_ok=True)
            stored.write_text(text)
        assert text == stored.read_text(), f"{stored} differs: look, then run once with JOULEGRAD_UPDATE_GOLDEN=1"


@pytest.mark.parametrize("board", ZYNQ)
def test_tcl_runs_on_stubbed_commands(board, tmp_path):
    """Complete Tcl; every cell, pin and bus that it connects has been made; nothing is called that the stub does not know."""
    design = describe(load_config("z7020"), load_board(board), "vivado")
    flow_of("vivado").write(design, tmp_path)
    done = subprocess.run([*tclsh(), STUB, tmp_path / "build.tcl"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls.log").read_text().splitlines()
    order = [
        "create_project", "create_bd_design", "validate_bd_design", "make_wrapper", "generate_target", "launch_runs", "open_run",
    ]  # fmt: skip
    assert [call.split()[0] for call in calls if call.split()[0] in order] == order
    assert sum(call.startswith("assign_bd_address") for call in calls) == 4
    assert (tmp_path / "joulegrad.bit").read_text() and (tmp_path / "joulegrad.hwh").read_text()


def wrapper_lint(design, folder: Path) -> str:
    """Return what Verilator says of the wrapper in a folder, all warnings on."""
    tool = verilator.find()
    command = [
        tool.executable, "--lint-only", "-Wall", "--quiet", "--top-module", "joulegrad_axi", verilator.LINT, *design.sources,
        folder / "joulegrad_axi.v",
    ]  # fmt: skip
    done = subprocess.run(command, env=tool.environment(), capture_output=True, text=True)
    return done.stdout + done.stderr + (f"verilator ended with {done.returncode}" if done.returncode else "")


@pytest.mark.parametrize("family_board", ["pynq-z2", "kv260"])
def test_wrapper_is_clean_verilog_around_the_block(family_board, tmp_path):
    design = describe(load_config("z7020"), load_board(family_board), "vivado")
    flow_of("vivado").write(design, tmp_path)
    assert wrapper_lint(design, tmp_path) == ""


@pytest.mark.parametrize("signal", ["arlen", "awlen"])
def test_a_burst_length_of_axi3_on_a_port_of_axi4_is_caught(signal, tmp_path):
    """The core's 4-bit length wired to UltraScale+' 8-bit port as it is: the upper bits would float."""
    design = describe(load_config("z7020"), load_board("kv260"), "vivado")
    flow_of("vivado").write(design, tmp_path)
    path = tmp_path / "joulegrad_axi.v"
    extended = f"assign m0_axi_{signal} = {{4'd0, core0_{signal}}};"
    assert extended in path.read_text()
    path.write_text(path.read_text().replace(extended, f"assign m0_axi_{signal} = core0_{signal};"))
    said = wrapper_lint(design, tmp_path)
    assert "WIDTHEXPAND" in said and f"core0_{signal}" in said
    path.write_text(path.read_text().replace(f"  assign m0_axi_{signal} = core0_{signal};\n", "").replace(
        f"core0_{signal}}})", f"m0_axi_{signal}}})"))  # fmt: skip
    assert "WIDTH" in wrapper_lint(design, tmp_path)


def test_vivado(tools, tmp_path, monkeypatch):
    """Any version from 2020.1 is taken and recorded; .bit and .hwh have one name; what is unchanged is not built again."""
    monkeypatch.setenv("VIVADO_VERSION", "2031.2")
    made = make("pynq-z2", None, tmp_path)
    folder = tmp_path / "pynq-z2-z7020"
    assert tools.calls() == [["vivado", "-mode", "batch", "-nojournal", "-log", "vivado.log", "-source", "build.tcl"]]
    assert made["built"] and made["tools"] == {"vivado": "Vivado v2031.2 (64-bit)"} and made["commit"] == "the commit"
    assert set(made["files"]) == {"joulegrad.bit", "joulegrad.hwh"} and all((folder / name).is_file() for name in made["files"])
    assert made["resources"] == {"lut": 31234, "lut_rams": 1200, "flip_flops": 40321, "bram36": 118.5, "dsp": 180}
    assert made["worst_slack_s"] == pytest.approx(0.125e-9) and made["max_clk_hz"] == pytest.approx(1e9 / 9.875)
    assert made["facts"]["power"]["total_w"] == 1.812 and made["facts"]["power_activity"].startswith("none")
    assert made["clk_hz"] == 100_000_000 and made["configuration"]["hash"] == f"{load_config('z7020').config_hash:08x}"
    stored = json.loads((folder / MANIFEST).read_text())
    assert {**stored, "built": True} == made
    assert make("pynq-z2", None, tmp_path) == {**stored, "built": False} and tools.calls() == []


@pytest.mark.parametrize("change", ["version", "clock", "bitstream", "manifest", "activity"])
def test_what_has_changed_is_built_again(change, tools, tmp_path, monkeypatch):
    make("pynq-z2", None, tmp_path)
    tools.calls()
    folder, config, activity = tmp_path / "pynq-z2-z7020", None, None
    if change == "version":
        monkeypatch.setenv("VIVADO_VERSION", "2024.1")
    elif change == "clock":
        entries = json.loads((Path(verilator.__file__).parent / "configs" / "z7020.json").read_text())
        (tmp_path / "z7020.json").write_text(json.dumps({**entries, "clk_hz": 50_000_000}))
        config = str(tmp_path / "z7020.json")
        monkeypatch.setenv("VIVADO_PERIOD", "20.0")
    elif change == "bitstream":
        (folder / "joulegrad.bit").write_text("other bits")
    elif change == "manifest":
        (folder / MANIFEST).write_text("{")
    else:
        activity = tmp_path / "core.saif"
        activity.write_text("(SAIFILE)")
    made = make("pynq-z2", None, tmp_path, config, activity)
    assert made["built"] and len(tools.calls()) == 1
    assert made["facts"]["power_activity"].startswith("SAIF" if activity else "none")
    assert not make("pynq-z2", None, tmp_path, config, activity)["built"]


def test_ultra_ram_is_counted_where_the_part_has_it(tools, tmp_path, monkeypatch):
    monkeypatch.setenv("VIVADO_URAM_ROW", "| URAM                   |     5 | 0 | 0 | 64 | 7.81 |")
    assert make("kv260", "vivado", tmp_path)["resources"]["uram"] == 5


def test_activity_reaches_vivado(tools, tmp_path):
    (tmp_path / "core.saif").write_text("(SAIFILE)")
    make("kv260", "vivado", tmp_path, activity=tmp_path / "core.saif")
    calls = (tmp_path / "kv260-z7020" / "vivado" / "calls.log").read_text()
    assert "read_saif -strip_path TOP/joulegrad_core" in calls and "activity.saif" in calls


def test_activity_that_vivado_finds_no_net_for_is_an_error(tools, tmp_path, monkeypatch):
    """It goes on with toggle rates of its own, and the report would pass for one of the simulated core."""
    saif = tmp_path / "core.saif"
    saif.write_text("(SAIFILE)")
    made = make("pynq-z2", "vivado", tmp_path / "good", activity=saif)
    assert (made["facts"]["power"]["nets_matched"], made["facts"]["power"]["nets"]) == (13439, 25972)
    for number, said in enumerate(("0% (0/25972)", "NA")):
        monkeypatch.setenv("VIVADO_MATCHED", said)
        with pytest.raises(FlowError, match="core.saif matches no net, so the report of power is not of it: see unmatched.rpt"):
            make("pynq-z2", "vivado", tmp_path / str(number), activity=saif)


@pytest.mark.parametrize("setting, sentence", [
    (("VIVADO_SLACK_MAX", "-0.520"), "timing is not met: pynq-z2-z7020 was to run at 100 MHz and its worst slack is -0.520 ns, "
                                     "which allows 95.06 MHz: lower clk_hz"),
    (("VIVADO_SLACK_MIN", "-0.020"), "hold times are not met: the worst slack is -0.020 ns"),
    (("VIVADO_PERIOD", "8.0"), "the processing system gives a clock of 125.000 MHz, 100 MHz was asked for"),
    (("VIVADO_PROGRESS", "43%"), "vivado fails with exit code 1: .*route_design ERROR"),
    (("BROKEN", "vivado"), "vivado .* fails with exit code 1: ERROR: vivado is broken"),
])  # fmt: skip
def test_vivado_faults_are_errors(setting, sentence, tools, tmp_path, monkeypatch):
    make("pynq-z2", None, tmp_path)
    monkeypatch.setenv(*setting)
    (tmp_path / "pynq-z2-z7020" / "joulegrad.bit").unlink()
    with pytest.raises(FlowError, match=sentence):
        make("pynq-z2", None, tmp_path)
    # A version that cannot be asked for is found out before anything is touched; every other failure leaves no manifest.
    assert (tmp_path / "pynq-z2-z7020" / MANIFEST).exists() == (setting[0] == "BROKEN")


def test_openxc7(tools, tmp_path):
    made = make("pynq-z2", "openxc7", tmp_path)
    synthesis, place, frames, bits = tools.calls()
    data = str(tools.data)
    assert synthesis == ["yosys", "-s", "synth.ys"]
    assert place == [
        "nextpnr-xilinx", "--chipdb", f"{data}/xc7z020clg400.bin", "--xdc", "joulegrad.xdc", "--json", "joulegrad.json",
        "--fasm", "joulegrad.fasm", "--freq", "100", "--timing-allow-fail", "--seed", "1",
    ]  # fmt: skip
    part = "xc7z020clg400-1"
    assert frames == ["fasm2frames", "--part", part, "--db-root", f"{data}/zynq7", "joulegrad.fasm", "joulegrad.frames"]
    assert bits == [
        "xc7frames2bit", "--part_file", f"{data}/zynq7/{part}/part.yaml", "--part_name", part,
        "--frm_file", "joulegrad.frames", "--output_file", "joulegrad.bit",
    ]  # fmt: skip
    assert set(made["files"]) == {"joulegrad.bit"} and made["max_clk_hz"] == 110.5e6
    assert made["resources"] == {"SLICE_LUTX": 30000}
    assert made["top"] == "openxc7_top" and set(made["tools"]) == {"yosys", "nextpnr-xilinx", "fasm2frames", "xc7frames2bit"}


def test_nextpnr(tools, tmp_path):
    made = make("ulx3s-85f", None, tmp_path)
    synthesis, place, pack = tools.calls()
    assert synthesis == ["yosys", "-s", "synth.ys"]
    assert place == [
        "nextpnr-ecp5", "--85k", "--package", "CABGA381", "--speed", "6", "--json", "joulegrad.json", "--lpf", "joulegrad.lpf",
        "--textcfg", "joulegrad.config", "--report", "report.json", "--freq", "50", "--timing-allow-fail", "--seed", "2",
        "--placer", "static", "--router", "router2",
    ]  # fmt: skip
    assert pack == ["ecppack", "--compress", "joulegrad.config", "joulegrad.bit"]
    assert made["clk_hz"] == 50_000_000 and made["max_clk_hz"] == 110.5e6 and made["resources"]["dsp"] == 80
    assert made["facts"]["memory_bytes"] == 128 * 1024
    assert made["tools"]["ecppack"] == "stand-in of ecppack"


def test_nextpnr_places_and_routes_a_small_design(tmp_path):
    """The real chain of pip's packages, on a design that takes seconds: PLL, registers and a multiplier at the board's pins."""
    source = tmp_path / "speck.sv"
    source.write_text(SMALL)
    design = describe(load_config("ecp5"), load_board("ulx3s-85f"))
    sources = (PRIMITIVES / "EHXPLLL.sv", source)
    small = dataclasses.replace(design, top="speck", sources=sources, parameters={})
    made = build(small, flow_of("nextpnr"), "the commit", tmp_path / "out")
    folder = tmp_path / "out" / "ulx3s-85f-ecp5"
    assert (folder / "joulegrad.bit").stat().st_size > 10_000
    assert made["max_clk_hz"] > 50e6 and made["resources"]["dsp"] == 1 and 20 < made["resources"]["flip_flops"] < 100
    assert any("nextpnr" in version.lower() and "Version" in version for version in made["tools"].values())
    assert not build(small, flow_of("nextpnr"), "the commit", tmp_path / "out")["built"]


def test_nextpnr_tries_seeds_until_the_clock_is_met(tools, tmp_path, monkeypatch):
    monkeypatch.setenv("FMAX_MHZ", "61,40,70")
    made = make("ulx3s-85f", None, tmp_path)
    seeds = [call[call.index("--seed") + 1] for call in tools.calls() if call[0] == "nextpnr-ecp5"]
    assert seeds == ["2", "1"] and made["max_clk_hz"] == 61e6 and made["facts"]["seed"] == 1
    monkeypatch.setenv("FMAX_MHZ", "40")
    with pytest.raises(FlowError, match="timing is not met: .* which allows 40.00 MHz"):
        make("ulx3s-85f", None, tmp_path / "never")
    assert [call[0] for call in tools.calls()].count("nextpnr-ecp5") == 3


def test_nextpnr_leaves_a_seed_that_does_not_end(tools, tmp_path, monkeypatch):
    with pytest.raises(flow.FlowTimeout, match="sleep did not end within 0.001 minutes"):
        flow.call(["sleep", "9"], tmp_path, "sleep.log", limit_s=0.06)
    called, endless = flow.call, ["2"]

    def call(command, *rest, **settings):
        if any(seed in endless for before, seed in zip(command, command[1:], strict=False) if before == "--seed"):
            raise flow.FlowTimeout(f"{settings['limit_s']:g} s")
        return called(command, *rest, **settings)

    monkeypatch.setattr(flow, "call", call)
    assert make("ulx3s-85f", None, tmp_path)["facts"]["seed"] == 1
    endless += ["1", "3"]
    with pytest.raises(flow.FlowTimeout, match="1800 s"):
        make("ulx3s-85f", None, tmp_path / "never")


@pytest.mark.parametrize("tool, board", [("openxc7", "zedboard"), ("nextpnr", "ulx3s-85f")])
def test_slow_routes_are_errors(tool, board, tmp_path, monkeypatch):
    stand_ins = StandIns(tmp_path / "tools", load_board(board).part)
    for name, value in {**stand_ins.environment(), "FMAX_MHZ": "40"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(FlowError, match="timing is not met: .* which allows 40.00 MHz"):
        make(board, tool, tmp_path)


@pytest.fixture
def yosys_says(tools, tmp_path, monkeypatch):
    """Return a function that sets what the stand-in of Yosys leaves: statistics, a netlist, and more by variable."""

    def say(cells: dict | None = None, module: dict | None = None, **more: str):
        design = {**STATISTICS["design"], "num_cells_by_type": {**CELLS, **(cells or {})}}
        monkeypatch.setenv("YOSYS_STATISTICS", json.dumps({**STATISTICS, "design": design}))
        (tmp_path / "netlist.json").write_text(json.dumps({"modules": {"joulegrad_core": module or chain(8)}}))
        monkeypatch.setenv("YOSYS_NETLIST", str(tmp_path / "netlist.json"))
        for name, value in more.items():
            monkeypatch.setenv(f"YOSYS_{name.upper()}", value)

    say()
    return say


def test_yosys_report(tools, tmp_path, yosys_says):
    made = make("pynq-z2", "yosys", tmp_path)
    assert tools.calls() == [["yosys", "-s", "resources.ys"]]
    taken, facts = made["resources"], made["facts"]
    assert (taken["dsp"], taken["bram36"], taken["estimated_lcs"], taken["lut_cells"]) == (180, 101.5, 30000, 25000)
    assert made["worst_slack_s"] is None and made["files"] == {}
    assert facts["memories"] == {"u_a.mem_q": {"where": "block RAM", "cells": {}}}
    assert facts["limits"] == {"lut": 40000, "flip_flops": 106400, "bram36": 130, "dsp": 200}
    assert facts["paths"][0] == {"levels": 8.0, "luts": 8, "carries": 0, "start": "from_q", "end": "to_q"}
    assert facts["most_levels"] == 9 and facts["registers"] == {"from_q": 1, "to_q": 1}
    assert facts["multipliers"] == {"all": 0, "bare": 0}
    folder = tmp_path / "pynq-z2-z7020" / "yosys"
    assert (folder / MANIFEST).is_file() and not (folder / "netlist.json").exists()
    assert not (tmp_path / "pynq-z2-z7020" / MANIFEST).exists()


@pytest.mark.parametrize("setting, sentence", [
    ({"cells": {"LDCE": 2}}, "2 latches are in joulegrad_core; there must be none"),
    ({"cells": {"DSP48E1": 201}}, "z7020 takes 201 dsp, at most 200 of the 220 of xc7z020clg400-1 are the core's"),
    ({"cells": {"RAMB36E1": 129}}, "z7020 takes 130.5 bram36, at most 130 of the 140"),
    ({"cells": {"FDRE": 106_401}}, "z7020 takes 106,401 flip_flops, at most 106,400 of the 106,400"),
    ({"log": "using FF mapping for memory joulegrad_core.u_b.mem_q"}, "memories that fell into flip-flops: u_b.mem_q"),
    ({"log": "using FF mapping for memory joulegrad_core.u_b.line_q"}, "memories that fell into flip-flops: u_b.line_q"),
    ({"module": register_of(1025)}, "registers as large as memories: u_lost.line_q (1025 bits)"),
    ({"module": chain(11)}, "too long for 100 MHz, where 9 levels fit: from_q to to_q: 11 levels (11 LUTs, 0 carry blocks)"),
    ({"module": bare_multiplier()}, "multipliers without registers on both sides: product"),
    ({"check": "Warning: multiple conflicting drivers for core.\\x [0]:"}, "multiple conflicting drivers for core"),
    ({"check": "Warning: found logic loop in module core:"}, "found logic loop in module core"),
    ({"check": "Warning: Wire core.\\x [3] is used but has no driver."}, "Wire core.\\x [3] is used but has no driver"),
])  # fmt: skip
def test_yosys_faults_are_errors(setting, sentence, yosys_says, tmp_path):
    yosys_says(**setting)
    with pytest.raises(FlowError, match=re.escape(sentence)):
        make("pynq-z2", "yosys", tmp_path)
    assert (tmp_path / "pynq-z2-z7020" / "yosys" / "analysis.json").is_file()


@pytest.mark.parametrize("log", [
    "using FF mapping for memory joulegrad_core.$auto$proc_rom.cc:155:do_switch$2",
    "using FF mapping for memory joulegrad_core.$auto$memory_bmux2rom.cc:63:execute$25945",
    "using FF mapping for memory joulegrad_core.u_vector.u_maximum.pair_q",
    "using FF mapping for memory openxc7_top.u_zynq.u_core.u_vector.u_noise.lane_q",
])  # fmt: skip
def test_constants_and_arrays_that_are_registers_with_a_reason_are_none(log, yosys_says, tmp_path):
    yosys_says(log=log, module=register_of(8192, "u_array.u_mac_array.pe_q"))
    assert make("pynq-z2", "yosys", tmp_path)["built"]


def test_a_yosys_without_a_netlist_is_one_sentence(yosys_says, tmp_path, monkeypatch):
    monkeypatch.delenv("YOSYS_NETLIST")
    with pytest.raises(FlowError, match="Yosys left no netlist of joulegrad_core"):
        make("pynq-z2", "yosys", tmp_path)


@pytest.mark.parametrize("board, tool, missing, sentence", [
    ("pynq-z2", "vivado", "vivado", "vivado is needed and not on PATH: install Vivado"),
    ("pynq-z2", "openxc7", "nextpnr-xilinx", "nextpnr-xilinx is needed and not on PATH: install openXC7"),
    ("pynq-z2", "openxc7", "xc7frames2bit", "xc7frames2bit is needed and not on PATH: install openXC7"),
    ("ulx3s-85f", "nextpnr", "ecppack", "yowasp-ecppack is needed and not on PATH: pip install 'joulegrad.bitstream.'"),
])  # fmt: skip
def test_missing_tools_are_found_out_before_any_work(board, tool, missing, sentence, tools, tmp_path, monkeypatch):
    tools.without(missing)
    monkeypatch.setenv("PATH", str(tools.folder))
    monkeypatch.setattr("sys.executable", str(tools.folder / "python"))
    with pytest.raises(FlowError, match=sentence):
        make(board, tool, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("variable", ["CHIPDB", "PRJXRAY_DB_DIR"])
def test_missing_chip_data_are_found_out_before_any_work(variable, tools, tmp_path, monkeypatch):
    monkeypatch.setenv(variable, "/nowhere")
    with pytest.raises(FlowError, match=f"needs the environment variable {variable}, and it is '/nowhere', which is no folder"):
        make("pynq-z2", "openxc7", tmp_path / "out")
    monkeypatch.delenv(variable)
    with pytest.raises(FlowError, match=f"{variable}, and it is not set"):
        make("pynq-z2", "openxc7", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["xc7z020clg400.bin", "zynq7/xc7z020clg400-1/part.yaml"])
def test_missing_data_of_the_part_are_found_out_before_yosys(name, tools, tmp_path):
    (tools.data / name).unlink()
    with pytest.raises(FlowError, match=f"openXC7 has no data of the part xc7z020clg400-1: .*{name} is not there"):
        make("pynq-z2", "openxc7", tmp_path)
    assert tools.calls() == []


def test_a_yosys_without_slang_is_not_taken(tools, monkeypatch):
    path = tools.folder / "yosys"
    path.write_text("#!/bin/sh\necho No such command or cell type: read_slang\n")
    assert yosys.find().name == "pyosys"
    monkeypatch.setattr(yosys.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FlowError, match="has no slang front end: pip install 'joulegrad.bitstream.'"):
        yosys.find()


def test_a_folder_that_cannot_be_written_is_one_sentence(tools, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FlowError, match="building pynq-z2-z7020 failed: .* cannot be written"):
        make("pynq-z2", None, tmp_path / "file")
