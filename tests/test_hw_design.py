"""The description of a design: board facts are whole, sources are what the top needs, what does not go together is refused."""

import dataclasses
import json
import re

import pytest
from test_hw_lint import instances

from hw import simulate, verilator
from hw.config import load_config
from hw.design import (
    BOARD_FILES,
    FAMILIES,
    DesignError,
    boards,
    declared_parameters,
    describe,
    load_board,
    pll_ratio,
    reachable,
)
from hw.flow import flows
from hw.vivado_script import PROCESSORS

Z7020, ECP5 = load_config("z7020"), load_config("ecp5")


def test_list_of_board_files_holds_every_file_once():
    assert sorted(simulate.rtl_files(BOARD_FILES)) == sorted(verilator.BOARD_RTL.glob("*.sv"))


def test_lists_are_in_dependency_order():
    files = [*simulate.rtl_files(), *simulate.rtl_files(BOARD_FILES)]
    modules, seen = {path.stem for path in files}, set()
    assert len(modules) == len(files)
    for path in files:
        missing = instances(path.read_text(), modules) - seen
        assert not missing, f"{path.name} stands before {sorted(missing)}"
        seen.add(path.stem)


@pytest.mark.parametrize("path", sorted(verilator.BOARD_RTL.glob("*.sv")), ids=lambda path: path.name)
def test_one_module_per_file_without_pragmas(path):
    text = path.read_text()
    assert re.findall(r"^module\s+(\w+)", text, re.MULTILINE) == [path.stem]
    assert not re.search(r"lint_off|\btranslate_off\b", text)


def test_a_top_reaches_what_it_needs_and_no_more():
    core = [path for path in simulate.rtl_files() if path.stem not in ("activity", "bus_activity")]
    assert [path for path in reachable("joulegrad_core") if path.stem not in ("activity", "bus_activity")] == core
    zynq = {path.stem for path in reachable("openxc7_top")}
    assert {"joulegrad_core", "hp_port", "axi3_to_lite", "openxc7_top"} < zynq and "uart_rx" not in zynq
    assert reachable("openxc7_top")[-1].stem == "openxc7_top"
    with pytest.raises(DesignError, match="nothing is none of the modules"):
        reachable("nothing")


@pytest.mark.parametrize("name", boards())
def test_board_facts_are_whole_and_have_sources(name):
    board = load_board(name)
    assert board.family in FAMILIES and set(board.tools) <= set(flows()) and board.part and board.title
    assert {"part", "capacity"} <= set(board.sources)
    assert bool(board.ps) == board.has_processor == ("ps" in board.sources)
    assert bool(board.pins) == bool(board.oscillator_hz) == (not board.has_processor)
    if board.has_processor:
        assert board.memory["bytes"] >= 1 << 29 and board.memory["base"] + board.memory["bytes"] <= 1 << 32
        assert board.control["base"] != board.control["interrupts"]
        zynq = board.family == "zynq-7000"
        assert 500 <= float(board.ps["PCW_UIPARAM_DDR_FREQ_MHZ" if zynq else "PSU__CRF_APB__DDR_CTRL__FREQMHZ"]) <= 1200
    pins = [pin["pin"] for pin in board.pins.values()]
    assert len(pins) == len(set(pins))


def test_ultrascale_clocks_come_from_the_pll_that_pynq_takes():
    """Its Overlay writes the dividers of the .hwh and leaves the source, so those have to be the I/O PLL's."""
    assert PROCESSORS["zynq-ultrascale"].settings["PSU__CRL_APB__PL0_REF_CTRL__SRCSEL"] == "IOPLL"


@pytest.mark.parametrize("name", boards())
def test_a_board_has_a_configuration_and_leaves_room_around_the_core(name):
    board = load_board(name)
    for tool in board.tools:
        assert describe(load_config(board.config), board, tool).clk_hz == load_config(board.config).clk_hz
    assert all(0 < most <= board.capacity[kind] for kind, most in board.limits.items())
    if board.part.startswith("xc7z020"):
        assert board.limits == {"lut": 40_000, "bram36": 130, "dsp": 200}


@pytest.mark.parametrize("name", boards())
def test_every_tool_of_a_board_has_its_top_and_parameters(name):
    board = load_board(name)
    for tool, top in board.tools.items():
        design = describe(ECP5 if board.family == "ecp5" else Z7020, board, tool)
        assert design.top == top == design.sources[-1].stem and design.sources[0].stem == "joulegrad_pkg"
        assert set(design.parameters) <= declared_parameters(design.sources[-1])
        assert design.parameters["ConfigHash"] == f"32'h{design.config.config_hash:08x}"
        missing = set(simulate.parameters(design.config)) - set(design.parameters)
        assert missing <= {"AxiBits"}, "a size of the core does not reach it"


def test_pins_are_the_ports_of_the_top():
    board = load_board("ulx3s-85f")
    text = reachable("ulx3s_top")[-1].read_text()
    ports = re.findall(r"^\s*(?:input|output)\s+logic\s*(?:\[(\d+):0\])?\s*(\w+?),?$", text, re.MULTILINE)
    names = {f"{name}[{bit}]" for width, name in ports if width for bit in range(int(width) + 1)}
    assert set(board.pins) == names | {name for width, name in ports if not width}


def test_the_esp32_of_ulx3s_is_told_to_leave_the_bitstream_alone():
    """Its firmware replaces a bitstream that leaves its GPIO0, pin L2, low for some seconds."""
    driven = [signal for signal, pin in load_board("ulx3s-85f").pins.items() if pin["pin"] == "L2"]
    assert driven == ["wifi_gpio0_o"] and "assign wifi_gpio0_o = 1'b1;" in reachable("ulx3s_top")[-1].read_text()


def test_pll_makes_the_clock_of_the_design():
    design = describe(ECP5, load_board("ulx3s-85f"))
    divide, feedback, output = (int(design.parameters[name]) for name in ("PllDivide", "PllFeedback", "PllOutput"))
    assert 25_000_000 * feedback == design.clk_hz * divide == int(design.parameters["ClkHz"].removeprefix("32'd")) * divide
    assert 400e6 <= design.clk_hz * output <= 800e6
    assert pll_ratio(25_000_000, 80_000_000) == (5, 16)
    with pytest.raises(DesignError, match="cannot be made of 25000000 Hz"):
        pll_ratio(25_000_000, 33_333_333)


def test_a_board_may_limit_the_clock():
    """What a configuration asks for beyond that is not asked of the tool; the manifest has the clock that is."""
    design = describe(load_config("tiny"), load_board("ulx3s-85f"))
    assert load_config("tiny").clk_hz == 100_000_000 and design.clk_hz == 50_000_000


def test_digest_changes_with_what_is_described(tmp_path):
    design = describe(Z7020, load_board("pynq-z2"))
    assert design.digest == describe(Z7020, load_board("pynq-z2")).digest
    other = tmp_path / design.sources[3].name
    other.write_text(design.sources[3].read_text() + "\n")
    changed = [
        dataclasses.replace(design, config=dataclasses.replace(Z7020, a_words=4096)),
        dataclasses.replace(design, clk_hz=90_000_000),
        dataclasses.replace(design, board=load_board("pynq-z1")),
        dataclasses.replace(design, tool="openxc7"),
        dataclasses.replace(design, parameters={**design.parameters, "G": "8"}),
        dataclasses.replace(design, sources=(*design.sources[:3], other, *design.sources[4:])),
    ]
    assert len({design.digest, *(one.digest for one in changed)}) == 7


@pytest.mark.parametrize("config, board, tool, sentence", [
    ("z7020", "pynq-z9", None, "no board 'pynq-z9': known are kv260, pynq-z1"),
    ("z7020", "../boards/kv260", None, "no board"),
    ("z7020", "kv260", "openxc7", "openxc7 does not build for kv260: tools for this board are vivado, yosys"),
    ("tiny", "pynq-z2", None, "AXI masters of 32 bits, and the HP ports of pynq-z2 are 64 bits wide"),
])  # fmt: skip
def test_what_does_not_go_together_is_one_sentence(config, board, tool, sentence):
    with pytest.raises(DesignError, match=sentence):
        describe(load_config(config), load_board(board), tool)


def test_the_report_of_resources_takes_any_configuration():
    assert describe(load_config("tiny"), load_board("pynq-z2"), "yosys").top == "joulegrad_core"


def test_boards_are_json_of_numbers_that_say_what_they_are():
    for name in boards():
        assert json.dumps(dataclasses.asdict(load_board(name)))
