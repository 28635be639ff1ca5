"""Longest paths of mapped netlists: by hand, where the answer is known, and of what Yosys makes of a small design."""

import json

import pytest
from mapped_netlists import Module, bare_multiplier, chain, register_of

from hw import flow, yosys
from hw.logic_paths import Multiplier, Netlist

DESIGN = """
module little (input logic clk_i, input logic [7:0] in_i, input logic [4:0] address_i, output logic [31:0] sum_o,
              output logic [15:0] product_o, output logic [7:0] word_o);
  logic [31:0] a_q, b_q;
  logic signed [7:0] x_q, y_q;
  logic signed [15:0] product_q;
  logic [7:0] mem_q [32];
  logic [7:0] late_q;
  always_ff @(posedge clk_i) begin
    a_q <= {a_q[23:0], in_i};
    b_q <= {b_q[23:0], in_i ^ 8'h55};
    sum_o <= a_q + b_q;
    x_q <= in_i;
    y_q <= in_i + 8'd3;
    product_q <= x_q * y_q;
    product_o <= product_q;
    mem_q[in_i[4:0]] <= in_i;
    late_q <= mem_q[address_i] ^ {8{^a_q}};
  end
  assign word_o = late_q;
endmodule
"""


def test_a_chain_of_luts_has_as_many_levels():
    (path,) = Netlist(chain(5)).longest(10)
    assert (path.levels, path.luts, path.carries, path.start, path.end) == (5.0, 5, 0, "from_q", "to_q")


def test_registers_side_by_side_are_no_path():
    netlist = Netlist(register_of(16, "u_b.line_q"))
    assert netlist.longest(10) == [] and netlist.registers == {"u_b.line_q": 16}


def adder(blocks: int) -> Module:
    """Return a module whose register `sum_q` waits for so many carry blocks, entered at the lowest bit through a LUT."""
    module = Module()
    module.register("a_q", "in")
    module.cell("first", "LUT2", I0="a_q", I1="in", O="$propagate")
    before = "0"
    for i in range(blocks):
        carries = [f"$c{i}.{bit}" for bit in range(4)]
        propagate = ["$propagate" if i == 0 else "0", "0", "0", "0"]
        sums = [f"$s{i}.{bit}" for bit in range(4)]
        module.cell(f"add {i}", "CARRY4", CI=before, CYINIT="0", DI=["0"] * 4, S=propagate, O=sums, CO=carries)
        before = carries[3]
    module.register("sum_q", f"$s{blocks - 1}.3")
    return module


def test_a_carry_chain_is_entered_once_and_passed_cheaply():
    """LUT 1, into the chain 0.5, along eight blocks 1."""
    (path,) = Netlist(adder(8).json()).longest(1)
    assert (path.levels, path.luts, path.carries) == (2.5, 1, 8)


def test_a_carry_block_is_no_loop_although_a_later_bit_waits_for_an_earlier_sum():
    module = Module()
    module.register("a_q", "in")
    module.cell("add", "CARRY4", CI="0", CYINIT="0", DI=["0"] * 4, S=["a_q", "0", "0", "$again"],
                O=["$low", "$s1", "$s2", "$high"], CO=["$c0", "$c1", "$c2", "$c3"])  # fmt: skip
    module.cell("between", "LUT2", I0="$low", I1="in", O="$again")
    module.register("sum_q", "$high")
    (path,) = Netlist(module.json()).longest(1)
    assert path.levels == 0.5 + 0.125 + 1 + 0.5


@pytest.mark.parametrize("registered, levels", [("0", 3.0), ("1", 1.5)])
def test_a_path_from_block_ram_begins_late(registered, levels):
    module = Module()
    module.cell("u_ram.mem_q.0.0", "RAMB36E1", {"DOA_REG": registered.zfill(32)}, CLKARDCLK="clk", DOADO="$read")
    module.cell("lut", "LUT2", I0="$read", I1="in", O="$late")
    module.register("to_q", "$late")
    paths = Netlist(module.json()).longest(5)
    assert [(path.start, path.end, path.levels) for path in paths] == [("u_ram.mem_q", "to_q", levels)]


def test_a_lut_ram_is_passed_by_its_read_address_only():
    """The write address and data end there; what is read waits for the read address or for the clock."""
    module = Module()
    module.register("read_q", "in")
    module.register("data_q", "in")
    module.cell("slow", "LUT2", I0="data_q", I1="in", O="$slow")
    module.cell("slower", "LUT2", I0="$slow", I1="in", O="$slower")
    module.cell("u_f.mem_q.0.0", "RAM32M", WCLK="clk", WE="$slower", ADDRA="read_q", DIA="$slower", DOA="$word", ADDRD="$slower")
    module.register("to_q", "$word")
    found = {(path.start, path.end): path.levels for path in Netlist(module.json()).longest(9)}
    assert found == {("data_q", "u_f.mem_q"): 2.0, ("read_q", "to_q"): 1.0} or found[("u_f.mem_q", "to_q")] == 1.0
    assert Netlist(module.json()).memory_cells == {"u_f.mem_q": {"RAM32M": 1}}


def test_multipliers_say_what_registers_they_lack():
    netlist = Netlist(bare_multiplier())
    assert netlist.multipliers() == [Multiplier("product", 0.0, False)]
    (path,) = netlist.longest(1)
    assert (path.start, path.end, path.levels) == ("a_q", "to_q", 3.0)


def test_logic_before_an_operand_that_is_not_registered_is_seen():
    module = Module()
    module.register("a_q", "in")
    module.cell("lut", "LUT2", I0="a_q", I1="in", O="$masked")
    one = {"BREG": "1".zfill(32), "MREG": "1".zfill(32), "PREG": "0".zfill(32)}
    module.cell("mul", "DSP48E1", one, A=["$masked"], B=["in"], P=["product_q"])
    module.register("to_q", "product_q")
    netlist = Netlist(module.json())
    assert netlist.multipliers() == [Multiplier("product_q", 1.0, True)]
    found = {(path.start, path.end): path.levels for path in netlist.longest(9)}
    assert found == {("a_q", "product_q"): 2.5, ("product_q", "to_q"): 1.5}


def test_a_loop_ends_and_copies_of_a_block_are_one():
    module = Module()
    module.cell("one", "LUT2", I0="$b", I1="in", O="$a")
    module.cell("two", "LUT2", I0="$a", I1="in", O="$b")
    module.register("gen_lane[0].to_q", "$b")
    module.register("gen_lane[1].to_q", "$b")
    module.port("in", "input")
    (path,) = Netlist(module.json()).longest(5)
    assert path.end == "gen_lane[*].to_q" and path.start == "in"


def test_what_yosys_makes_of_a_small_design(tmp_path):
    """A sum has a carry chain and a LUT RAM is passed; tests/test_hw_reports.py looks at a whole core on a 7-series part."""
    (tmp_path / "little.sv").write_text(DESIGN)
    script = ["read_slang --top little little.sv", "synth_ecp5 -top little", "write_json netlist.json", ""]
    flow.write_script(tmp_path / "little.ys", "\n".join(script))
    yosys.run(yosys.find(), tmp_path, "little.ys", "yosys.log")
    netlist = Netlist(json.loads((tmp_path / "netlist.json").read_text())["modules"]["little"])
    paths = {path.end: path for path in netlist.longest(20)}
    assert paths["sum_o"].start in ("a_q", "b_q") and paths["sum_o"].carries >= 8
    assert paths["late_q"].luts >= 2 and netlist.memory_cells.keys() == {"mem_q"}
    assert 3 <= paths["late_q"].levels <= 6
    assert [(one.registered, one.before) for one in netlist.multipliers()] == [(False, 0.0)]
