"""Longest paths between registers of a mapped netlist, in levels of logic: what stands in for timing where nothing is placed.

    levels(path) = sum over the cells on it of LEVELS

A level is a LUT with the net behind it, about 1 ns on an XC7Z020-1. The other cells count as their delay in the library that
Yosys has for 7-series parts, against that. The netlist is what Yosys' write_json leaves of a flattened design.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

LEVELS = {
    "lut": 1.0, "wide_mux": 0.25, "chain": 0.5, "carry": 0.125, "within": 0.0, "lut_ram": 1.0, "block_ram": 2.0,
    "block_ram_registered": 0.5, "multiplier": 3.0, "multiply": 1.5, "product": 1.5,
}  # fmt: skip
"""Kind of step on a path to its levels.

lut, lut_ram: from an input or a read address to the output; chain: into a carry chain; carry: along each of its blocks, within
one nothing; block_ram: from the clock to data, with its output register block_ram_registered; multiplier: through one without
registers, multiply: from a pin without a register to the one behind the product, product: from there out where that is the
last one.
"""
REGISTERS = ("FD", "TRELLIS_FF", "SRL", "RAMB", "URAM", "DP16KD", "RAM32", "RAM64", "RAM128", "RAM256", "TRELLIS_DPR16X4")
LUT_RAM = ("RAM32", "RAM64", "RAM128", "RAM256", "TRELLIS_DPR16X4")
MULTIPLIERS = ("DSP48", "MULT18X18D", "MULT9X9D")
CARRIES = ("CARRY4", "CARRY8", "CCU2C")
FLIP_FLOPS = ("FD", "TRELLIS_FF")
OPERANDS = "ABCD"
NAMELESS = "a register without a name"
CLOCK = re.compile(r"C|CLK\w*|WCLK|WCK")
READ_PORTS = {
    "D": (("A", "O"),), "X1D": (("A", "SPO"), ("DPRA", "DPO")),
    "M": tuple((f"ADDR{port}", f"DO{port}") for port in "ABCDEFGH"), "DPR16X4": (("RAD", "DO"),),
}  # fmt: skip
"""Kind of LUT RAM to its read addresses and the data that depend on them at once."""


@dataclass(frozen=True)
class LogicPath:
    """One path.

    Attributes:
        levels: of logic, as LEVELS counts them.
        luts, carries: LUTs and carry blocks on it.
        start, end: registers, memories or ports that it joins, by their names in the RTL; "[*]" stands for any copy of a block.
    """

    levels: float
    luts: int
    carries: int
    start: str
    end: str

    @property
    def sentence(self) -> str:
        """Return the path in words."""
        return f"{self.start} to {self.end}: {self.levels:g} levels ({self.luts} LUTs, {self.carries} carry blocks)"


@dataclass(frozen=True)
class Multiplier:
    """A multiplier of the part.

    Attributes:
        name: of the product, or of the cell.
        before: levels of logic before its operands, where it does not register them itself.
        registered: whether it has a register behind the product; on ECP5 Yosys leaves that one outside.
    """

    name: str
    before: float
    registered: bool


@dataclass(frozen=True)
class _Step:
    """Bits that depend on others at once.

    Attributes:
        outputs, inputs: bits; `entries` are those among the inputs that the cost `enter` is added for.
    """

    kind: str
    outputs: tuple
    inputs: tuple
    entries: frozenset = frozenset()


class Netlist:
    """A flattened module: what drives each bit, and what each bit waits for.

    Args:
        module: of Yosys' JSON.

    Attributes:
        registers: name to number of its flip-flops.
        memory_cells: memory to the kinds of block and LUT RAM that hold it, with their number.
    """

    def __init__(self, module: dict):
        self.registers: Counter = Counter()
        self.memory_cells: dict[str, Counter] = {}
        self._multipliers: list[tuple[str, bool, list]] = []
        self._names = _names(module)
        self._driver: dict = {}
        self._starts: dict = {}
        self._ends: list[tuple] = []
        for name, cell in module["cells"].items():
            self._add(name, cell)
        for name, port in module["ports"].items():
            if port["direction"] == "output":
                self._ends += [(bit, 0.0, name) for bit in port["bits"]]
        self._arrival: dict = {}
        self._before: dict = {}

    def longest(self, count: int) -> list[LogicPath]:
        """Return the longest path between each register and each block of the design, longest first, at most so many."""
        worst: dict[str, tuple] = {}
        for bit, setup, name in self._ends:
            if not isinstance(bit, str):
                levels = self._levels(bit) + setup
                if levels > worst.get(name, (0.0,))[0]:
                    worst[name] = levels, bit
        chosen: dict[tuple, LogicPath] = {}
        for name, (levels, bit) in sorted(worst.items(), key=lambda item: (-item[1][0], item[0])):
            path = self._path(levels, bit, name)
            chosen.setdefault((path.start, path.end.rpartition(".")[0] or path.end), path)
            if len(chosen) == count:
                break
        return list(chosen.values())

    def multipliers(self) -> list[Multiplier]:
        """Return the multipliers."""
        return [
            Multiplier(name, max((self._levels(bit) for bit in bits if not isinstance(bit, str)), default=0.0), registered)
            for name, registered, bits in self._multipliers
        ]

    def _add(self, name: str, cell: dict) -> None:
        kind, pins = cell["type"], cell["connections"]
        outputs = [port for port, way in cell["port_directions"].items() if way == "output"]
        if kind.startswith(MULTIPLIERS):
            self._multiplier(name, cell, outputs)
        elif kind.startswith(REGISTERS):
            self._register(name, cell, outputs)
        elif kind.startswith(CARRIES):
            for step in _carry_steps(name, kind, pins):
                self._joined(step)
        else:
            what = "wide_mux" if kind.startswith(("MUXF", "PFUMX", "L6MUX21")) else "lut"
            inputs = tuple(bit for port, bits in pins.items() if port not in outputs for bit in bits)
            self._joined(_Step(what, tuple(bit for port in outputs for bit in pins[port]), inputs))

    def _joined(self, step: _Step) -> None:
        for bit in step.outputs:
            self._driver[bit] = step

    def _register(self, name: str, cell: dict, outputs: list[str]) -> None:
        """Add a flip-flop or memory: paths end at its inputs, begin at its outputs; a LUT RAM's also pass by its read address."""
        kind, pins = cell["type"], cell["connections"]
        where = self._register_name(name, cell)
        if kind.startswith(FLIP_FLOPS):
            self.registers[where] += 1
        elif not kind.startswith("SRL"):
            self.memory_cells.setdefault(where, Counter())[kind] += 1
        for port in outputs:
            for bit in pins[port]:
                self._starts[bit] = _clock_to_output(kind, port, cell["parameters"]), where
        for port, bits in pins.items():
            if port not in outputs and not CLOCK.fullmatch(port):
                self._ends += [(bit, 0.0, where) for bit in bits]
        if kind.startswith(LUT_RAM):
            for address, data in _read_ports(kind):
                if data in pins:
                    inputs = tuple(bit for port, bits in pins.items() if re.fullmatch(rf"{address}\d*", port) for bit in bits)
                    self._joined(_Step("lut_ram", tuple(pins[data]), inputs))

    def _multiplier(self, name: str, cell: dict, outputs: list[str]) -> None:
        """Add a multiplier: with a register behind the product, or without one at all."""
        pins, registers = cell["connections"], _multiplier_registers(cell)
        products = [self._names[bit] for port in outputs for bit in pins[port] if bit in self._names]
        where = _without_bit(products[0]) if products else name
        inputs = [(port, bits) for port, bits in pins.items() if port in OPERANDS]
        bare = tuple(bit for port, bits in inputs if not registers[port] for bit in bits)
        behind = registers["M"] or registers["P"]
        self._multipliers.append((where, behind, list(bare)))
        begins = 0.0 if registers["P"] else LEVELS["product" if behind else "multiplier"]
        for port in outputs:
            for bit in pins[port]:
                if behind or len(bare) < sum(len(bits) for _, bits in inputs):
                    self._starts[bit] = begins, where
            if not behind:
                self._joined(_Step("multiplier", tuple(pins[port]), bare))
        for port, bits in inputs:
            if behind or registers[port]:
                self._ends += [(bit, 0.0 if registers[port] else LEVELS["multiply"], where) for bit in bits]

    def _register_name(self, name: str, cell: dict) -> str:
        """Return the name of a register without its bit, or of the memory."""
        if cell["type"].startswith(FLIP_FLOPS):
            bit = cell["connections"]["Q"][0]
            return _without_bit(self._names[bit]) if bit in self._names else NAMELESS
        named = re.match(r"(.*?\w_q)\.\d", name)
        return named.group(1) if named else name

    def _levels(self, bit) -> float:
        """Return the levels of the longest path to a bit; the walk keeps its own stack, paths are long."""
        waiting = [bit]
        while waiting:
            at = waiting[-1]
            if at in self._arrival and self._arrival[at] is not None:
                waiting.pop()
                continue
            step = self._driver.get(at)
            if step is None:
                self._arrival[at] = self._starts.get(at, (0.0, ""))[0]
                waiting.pop()
                continue
            new = [one for one in step.inputs if not isinstance(one, str) and one not in self._arrival]
            if new and at not in self._arrival:
                self._arrival[at] = None
                waiting += new
                continue
            self._arrive(at, step)
            waiting.pop()
        return self._arrival[bit]

    def _arrive(self, bit, step: _Step) -> None:
        best, before = self._starts.get(bit, (0.0, ""))[0], None
        for one in step.inputs:
            # A bit that is waited for is on a loop, which Yosys' check names; it is left out here.
            at = self._arrival.get(one)
            if isinstance(one, str) or at is None:
                continue
            at += LEVELS[step.kind] + (LEVELS["chain"] if one in step.entries else 0.0)
            if at > best:
                best, before = at, one
        self._arrival[bit], self._before[bit] = best, before

    def _path(self, levels: float, bit, end: str) -> LogicPath:
        luts = carries = 0
        while self._before.get(bit) is not None:
            step = self._driver[bit]
            luts += step.kind in ("lut", "lut_ram")
            carries += step.kind == "carry"
            bit = self._before[bit]
        start = self._starts[bit][1] if bit in self._starts else self._names.get(bit, "")
        return LogicPath(round(levels, 3), luts, carries, _alike(_without_bit(start)), _alike(end))


def _names(module: dict) -> dict:
    """Return bit to its name in the RTL, without the tool's own; the shortest of several."""
    found: dict = {}
    for name, net in module["netnames"].items():
        if net.get("hide_name") or name.startswith("$") or "$" in name:
            continue
        for index, bit in enumerate(net["bits"]):
            full = name if len(net["bits"]) == 1 else f"{name}[{index}]"
            if bit not in found or len(full) < len(found[bit]):
                found[bit] = full
    return found


def _without_bit(name: str) -> str:
    return re.sub(r"\s*\[\d+\]$", "", name)


def _alike(name: str) -> str:
    """Return a name with the numbers of generated copies left out."""
    return re.sub(r"\[\d+\]", "[*]", name)


def _carry_steps(name: str, kind: str, pins: dict) -> Iterator[_Step]:
    """Yield what each output of a carry block depends on, bit by bit: a bit never waits for a later one."""
    if kind == "CCU2C":
        entries = [tuple(bit for pin in "ABCD" for bit in pins.get(f"{pin}{i}", [])) for i in range(2)]
        sums, carries = [pins.get(f"S{i}", []) for i in range(2)], [[], pins.get("COUT", [])]
        before: list = [bit for bit in pins.get("CIN", []) if not isinstance(bit, str)]
    else:
        entries = [(pins["S"][i], pins["DI"][i]) for i in range(len(pins["S"]))]
        outputs = [pins.get(port, []) for port in ("O", "CO")]
        sums, carries = ([[bits[i]] if bits else [] for i in range(len(entries))] for bits in outputs)
        before = [bit for port in ("CI", "CYINIT") for bit in pins.get(port, []) if not isinstance(bit, str)]
    for i, inputs in enumerate(entries):
        into = frozenset(bit for bit in inputs if not isinstance(bit, str))
        carry = (name, i)
        # One block of the chain is passed where the first of its carries is made; within it, the way is free.
        yield _Step("carry" if i == 0 else "within", (*sums[i], *carries[i], carry), (*into, *before), into)
        before = [carry]


def _read_ports(kind: str) -> tuple:
    found = re.search(r"(X1D|M|DPR16X4)\d*$", kind)
    return READ_PORTS[found.group(1) if found else "D"]


def _clock_to_output(kind: str, port: str, parameters: dict) -> float:
    if kind.startswith(("RAMB", "URAM", "DP16KD")):
        side = "REGMODE_" + port[2] if kind == "DP16KD" else f"DO{port[2]}_REG"
        value = str(parameters.get(side, "0"))
        return LEVELS["block_ram_registered" if value.strip("0") not in ("", "NOREG") else "block_ram"]
    return LEVELS["lut_ram"] if kind.startswith((*LUT_RAM, "SRL")) else 0.0


def _multiplier_registers(cell: dict) -> dict[str, bool]:
    """Return which of the ports A to D, of the product M and of the output P have a register."""
    parameters = cell["parameters"]
    if cell["type"].startswith("DSP48"):
        return {name: int(str(parameters.get(f"{name}REG", "0")), 2) > 0 for name in "ABCDMP"}
    found = {name: parameters.get(f"REG_INPUT{name}_CLK", "NONE") != "NONE" for name in "ABC"} | {"D": False}
    stages = {"M": "REG_PIPELINE_CLK", "P": "REG_OUTPUT_CLK"}
    return {**found, **{name: parameters.get(key, "NONE") != "NONE" for name, key in stages.items()}}
