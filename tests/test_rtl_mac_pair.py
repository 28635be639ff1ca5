"""hw/rtl/mac_pair.sv multiplies exactly, packed or not; packed it is one DSP48E1 and an inverter, apart two MULT18X18D."""

from __future__ import annotations

import pytest
from pyosys import libyosys

from hw import verilator


@pytest.mark.parametrize("parameters", [{}, {"PackProducts": 0}], ids=["packed", "apart"])
def test_products_are_exact(run_rtl, parameters):
    run_rtl("mac_pair_bench", "bench_mac_pair", parameters)


def test_is_one_dsp48e1(tmp_path):
    design = libyosys.Design()
    libyosys.run_pass(f"read_slang --top mac_pair {verilator.RTL / 'mac_pair.sv'}", design)
    libyosys.run_pass(f"tee -q -o {tmp_path / 'synthesis.log'} synth_xilinx -family xc7 -noiopad -noclkbuf -top mac_pair", design)
    cells = [cell.type.str().removeprefix("\\") for cell in design.top_module().cells_.values()]
    assert sorted(cells) == ["DSP48E1", "INV"]


def test_apart_is_two_mult18x18d(tmp_path):
    design = libyosys.Design()
    libyosys.run_pass(f"read_slang --top mac_pair -G PackProducts=1'b0 {verilator.RTL / 'mac_pair.sv'}", design)
    libyosys.run_pass(f"tee -q -o {tmp_path / 'synthesis.log'} synth_ecp5 -noiopad -top mac_pair", design)
    cells = [cell.type.str().removeprefix("\\") for cell in design.top_module().cells_.values()]
    assert cells.count("MULT18X18D") == 2 and set(cells) <= {"MULT18X18D", "TRELLIS_FF"}
