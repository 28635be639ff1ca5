"""Mapped modules as Yosys' JSON has them, made by hand: what a netlist's longest paths are taken from."""

from __future__ import annotations

WAYS = {
    "FDRE": ("Q",), "LUT2": ("O",), "LUT6": ("O",), "DSP48E1": ("P",), "RAM32M": ("DOA", "DOB"), "RAMB36E1": ("DOADO", "DOBDO"),
    "CARRY4": ("O", "CO"), "MUXF7": ("O",),
}  # fmt: skip
"""Kind of cell to its outputs."""


class Module:
    """A module under construction; wires are named by the caller and become bits."""

    def __init__(self):
        self._bits: dict[str, int] = {}
        self._cells: dict[str, dict] = {}
        self._ports: dict[str, dict] = {}

    def bit(self, name: str) -> int | str:
        """Return the bit of a wire; "0", "1" and "x" are constants."""
        return name if name in ("0", "1", "x") else self._bits.setdefault(name, len(self._bits) + 2)

    def cell(self, name: str, kind: str, parameters: dict | None = None, **pins: str | list[str]) -> None:
        """Add a cell; a pin takes a wire or several."""
        bits = {pin: [self.bit(wire) for wire in ([wires] if isinstance(wires, str) else wires)] for pin, wires in pins.items()}
        ways = {pin: "output" if pin in WAYS[kind] else "input" for pin in pins}
        self._cells[name] = {"type": kind, "parameters": parameters or {}, "port_directions": ways, "connections": bits}

    def port(self, name: str, way: str) -> None:
        """Add a port on the wire of its name."""
        self._ports[name] = {"direction": way, "bits": [self.bit(name)]}

    def register(self, name: str, data: str) -> None:
        """Add a flip-flop that is called as its output."""
        self.cell(f"ff {name}", "FDRE", C="clk", D=data, CE="1", R="0", Q=name)

    def json(self) -> dict:
        """Return the module; wires whose names begin with a dollar are the tool's own."""
        names = {name: {"hide_name": int(name.startswith("$")), "bits": [bit]} for name, bit in self._bits.items()}
        return {"cells": self._cells, "ports": self._ports, "netnames": names}


def chain(luts: int) -> dict:
    """Return a module with so many LUTs, one behind the other, between the registers from_q and to_q."""
    module = Module()
    module.register("from_q", "in")
    module.port("in", "input")
    for i in range(luts):
        module.cell(f"lut {i}", "LUT2", I0="from_q" if i == 0 else f"${i - 1}", I1="in", O=f"${i}")
    module.register("to_q", f"${luts - 1}")
    return module.json()


def register_of(bits: int, name: str = "u_lost.line_q") -> dict:
    """Return a module with one register."""
    module = Module()
    for i in range(bits):
        module.cell(f"ff {i}", "FDRE", C="clk", D="0", CE="1", R="0", Q=f"{name} [{i}]")
    return module.json()


def bare_multiplier() -> dict:
    """Return a module with a multiplier that has no register of its own, between two registers."""
    module = Module()
    module.register("a_q", "in")
    module.cell("mul", "DSP48E1", {}, A=["a_q"], B=["a_q"], P=["product"])
    module.register("to_q", "product")
    return module.json()
