"""A netlist whose LUTs are folded into its carry chains computes what its source says, by proof; what does not fit stays."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from hw.carry_chains import fold

SOURCE = """
module speck (
  input logic [11:0] a, b, c, input logic s, u,
  output logic [12:0] chosen, masked, first, second, wide, output logic below
);
  always_comb begin
    chosen = a + (s ? b : c);                  // three inputs
    masked = (a & {12{s}}) - (c ^ {12{u}});    // on either side
    first  = (s ? a : b) - c;                  // the inverted operand stays
    second = a - (u ? b : c);                  // three inputs inverted: no entry is left for the carry
    wide   = (a & b) + ~c + 13'(s);
    below  = (a & {12{u}}) < c;
  end
endmodule
"""
SYNTHESIS = "read_slang speck.sv; synth_ecp5 -top speck; write_json speck.json"
PROOF = """read_slang speck.sv; prep -top speck; rename speck source; read_json speck.json; techmap -map +/ecp5/cells_sim.v speck
miter -equiv -flatten source speck proof; hierarchy -top proof; sat -verify -prove trigger 0 proof"""


def yosys(commands: str, folder):
    passes = [command.strip() for line in commands.splitlines() for command in line.split(";")]
    code = f"from pyosys import libyosys as y\nd = y.Design()\nfor c in {passes!r}: y.run_pass(c, d)"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speck")
    (folder / "speck.sv").write_text(SOURCE)
    done = yosys(SYNTHESIS, folder)
    assert done.returncode == 0, done.stdout[-2000:]
    return folder


def luts(folder) -> int:
    cells = json.loads((folder / "speck.json").read_text())["modules"]["speck"]["cells"].values()
    return sum(cell["type"] == "LUT4" for cell in cells)


def test_folded_netlist_is_the_source(folder):
    before, mapped = luts(folder), (folder / "speck.json").read_text()
    folded = fold(folder / "speck.json")
    assert folded >= 60 and luts(folder) == before - folded
    done = yosys(PROOF, folder)
    assert done.returncode == 0, done.stdout[-2000:]
    assert fold(folder / "speck.json") == 0
    # The proof can fail: one entry of one folded table.
    netlist = json.loads((folder / "speck.json").read_text())
    cells = netlist["modules"]["speck"]["cells"].values()
    changed = next(c for c in cells if c["type"] == "CCU2C" and isinstance(c["connections"]["C0"][0], int))
    table = changed["parameters"]["INIT0"]
    changed["parameters"]["INIT0"] = str(1 - int(table[0])) + table[1:]
    (folder / "speck.json").write_text(json.dumps(netlist))
    assert yosys(PROOF, folder).returncode != 0
    (folder / "speck.json").write_text(mapped)
