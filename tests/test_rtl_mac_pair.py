"""hw/rtl/mac_pair.sv multiplies exactly, and is one DSP48E1 and an inverter."""

from __future__ import annotations

from pyosys import libyosys

from hw import verilator


def test_products_are_exact(run_rtl):
    run_rtl("mac_pair_bench", "bench_mac_pair")


def test_is_one_dsp48e1(tmp_path):
    design = libyosys.Design()
    libyosys.run_pass(f"read_slang --top mac_pair {verilator.RTL / 'mac_pair.sv'}", design)
    libyosys.run_pass(f"tee -q -o {tmp_path / 'synthesis.log'} synth_xilinx -family xc7 -noiopad -noclkbuf -top mac_pair", design)
    cells = [cell.type.str().removeprefix("\\") for cell in design.top_module().cells_.values()]
    assert sorted(cells) == ["DSP48E1", "INV"]
