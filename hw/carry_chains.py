"""LUTs in front of ECP5 carry chains, folded into them.

Yosys gives each bit of a chain, half a CCU2C, two operands and makes what comes before them of LUTs. The bit has a LUT of four
inputs of its own: one operand k and a function g of up to three other inputs fit into it. With p = k xor g from that LUT,

    sum = p xor carry in;   carry out = carry in where p is 1, else k

and k comes from the LUT's quarter where C and D are 0: g must be 0 there, or one of the two stand at 1.
A LUT is folded where nothing but one operand of a chain reads it.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from itertools import permutations, product
from pathlib import Path
from typing import Any

ADDER = "1001011010101010"
"""Table of a bit as synth_ecp5 writes it: A + (B xor C), with D at 1."""
Bit = int | str
"""A net's number, or a constant."""
Function = tuple[list[int], dict[tuple[int, ...], int]]
"""The nets that a LUT depends on and its value for each assignment of them."""


def fold(path: Path) -> int:
    """Fold LUTs of a flat, mapped netlist, Yosys' JSON, in place and return how many."""
    netlist = json.loads(path.read_text(encoding="utf-8"))
    folded = sum(map(_fold_module, netlist.get("modules", {}).values()))
    path.write_text(json.dumps(netlist, separators=(",", ":")), encoding="utf-8")
    return folded


def _fold_module(module: dict[str, Any]) -> int:
    """Fold LUTs of a module in place and return how many."""
    cells = module["cells"]
    readers: Counter[Bit] = Counter(bit for port in module["ports"].values() for bit in port["bits"])
    for cell in cells.values():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                readers.update(bits)
    luts = {cell["connections"]["Z"][0]: name for name, cell in cells.items() if cell["type"] == "LUT4"}
    luts = {bit: name for bit, name in luts.items() if readers[bit] == 1}
    chains = [cell for cell in cells.values() if cell["type"] == "CCU2C"]
    folded = 0
    for cell, half in product(chains, "01"):
        operand = _fold_bit(cell, half, luts, cells)
        if operand is not None:
            del cells[luts.pop(operand)]
            folded += 1
    return folded


def _fold_bit(cell: dict[str, Any], half: str, luts: dict[Bit, str], cells: dict[str, Any]) -> Bit | None:
    """Fold a LUT into one bit and return the net that is no longer needed, or None."""
    a, b, c, d = (cell["connections"][pin + half][0] for pin in "ABCD")
    if cell["parameters"][f"INIT{half}"] != ADDER or c not in ("0", "1") or d != "1":
        return None
    invert = int(c)
    for operand, other, k_invert, g_invert in ((b, a, 0, invert), (a, b, invert, 0)):
        if operand in luts and operand != other:
            found = _inputs(_function(cells[luts[operand]]), g_invert)
            if found:
                pins, g = found
                init = _init(k_invert, g)
                cell["parameters"][f"INIT{half}"] = init
                for pin, bit in zip("ABCD", (other, *pins), strict=True):
                    cell["connections"][pin + half] = [bit]
                return operand
    return None


def _inputs(function: Function, invert: int) -> tuple[list[Bit], dict[tuple[int, ...], int]] | None:
    """Return what B, C and D are connected to and g of them, or None where the function does not fit."""
    nets, values = function
    if len(nets) > 3:
        return None
    if len(nets) < 3:
        pins: list[Bit] = [*nets, *["0"] * (2 - len(nets)), "1"]
        return pins, {bits: values[bits[: len(nets)]] ^ invert if bits[2] else 0 for bits in product((0, 1), repeat=3)}
    for order in permutations(range(3)):
        g = {bits: values[tuple(bits[order.index(i)] for i in range(3))] ^ invert for bits in product((0, 1), repeat=3)}
        if g[0, 0, 0] == g[1, 0, 0] == 0:
            return [nets[i] for i in order], g
    return None


def _init(k_invert: int, g: dict[tuple[int, ...], int]) -> str:
    """Return the table of a bit, most significant entry first: A is k, inverted or not."""
    table = [a ^ k_invert ^ g[b, c, d] for d, c, b, a in product((0, 1), repeat=4)]
    return "".join(map(str, reversed(table)))


def _function(cell: dict[str, Any]) -> Function:
    """Return what a LUT computes, without the inputs that do not matter."""
    pins = [cell["connections"][pin][0] for pin in "ABCD"]
    init = cell["parameters"]["INIT"]
    nets = list(dict.fromkeys(bit for bit in pins if isinstance(bit, int)))

    def value(given: dict[int, int]) -> int:
        index = sum((given[bit] if isinstance(bit, int) else int(bit == "1")) << i for i, bit in enumerate(pins))
        return int(init[15 - index])

    def cases(free: list[int]) -> list[dict[int, int]]:
        return [dict.fromkeys(nets, 0) | dict(zip(free, bits, strict=True)) for bits in product((0, 1), repeat=len(free))]

    needed = [net for net in nets if any(value(case | {net: 0}) != value(case | {net: 1}) for case in cases(nets))]
    return needed, {tuple(case[net] for net in needed): value(case) for case in cases(needed)}


if __name__ == "__main__":
    print(f"{fold(Path(sys.argv[1]))} LUTs folded into carry chains")
