"""The core as Verilog-2001 with bus names and attributes that a block design recognises; parameters are written in.

A block design takes modules in Verilog, not SystemVerilog, and tells AXI3 from AXI4 by what it is told. Masters are AXI3
before the HP ports of Zynq-7000, AXI4 before those of UltraScale+, where an id with write data does not exist: the core's
beats are never interleaved, so leaving it out, and zeros above length and address, are all that differs.
"""

from __future__ import annotations

from hw.design import Design

MODULE = "joulegrad_axi"
WINDOW_BITS = 16
"""Address bits of the register port: a block design wants as many as the window's 64 KiB have."""
WIDER = {"zynq-7000": {}, "zynq-ultrascale": {"addr": 49, "len": 8, "lock": 1}}
"""By family: address-channel signals whose width is not the core's."""
REGISTER_BITS = 10
"""Address bits of the core's registers."""
_LITE = (
    ("awaddr", WINDOW_BITS, 1), ("awvalid", 1, 1), ("awready", 1, 0), ("wdata", 32, 1), ("wstrb", 4, 1), ("wvalid", 1, 1),
    ("wready", 1, 0), ("bresp", 2, 0), ("bvalid", 1, 0), ("bready", 1, 1), ("araddr", WINDOW_BITS, 1), ("arvalid", 1, 1),
    ("arready", 1, 0), ("rdata", 32, 0), ("rresp", 2, 0), ("rvalid", 1, 0), ("rready", 1, 1),
)  # fmt: skip
"""Signals of the register port: name, bits, 1 for an input."""
_ADDRESS = (
    ("id", 6, 0), ("addr", 32, 0), ("len", 4, 0), ("size", 3, 0), ("burst", 2, 0), ("lock", 2, 0), ("cache", 4, 0),
    ("prot", 3, 0), ("qos", 4, 0), ("valid", 1, 0), ("ready", 1, 1),
)  # fmt: skip
_MASTER = (
    *(("ar" + name, bits, way) for name, bits, way in _ADDRESS),
    ("rid", 6, 1), ("rdata", 64, 1), ("rresp", 2, 1), ("rlast", 1, 1), ("rvalid", 1, 1), ("rready", 1, 0),
    *(("aw" + name, bits, way) for name, bits, way in _ADDRESS),
    ("wid", 6, 0), ("wdata", 64, 0), ("wstrb", 8, 0), ("wlast", 1, 0), ("wvalid", 1, 0), ("wready", 1, 1),
    ("bid", 6, 1), ("bresp", 2, 1), ("bvalid", 1, 1), ("bready", 1, 0),
)  # fmt: skip
"""Signals of a master port, as the core has them."""


def wrapper(design: Design) -> str:
    """Return the Verilog text of the module `joulegrad_axi` of a design."""
    ports, pins, wires = _clock_reset_interrupt(), [".clk_i(aclk)", ".rst_ni(aresetn)", ".irq_o(irq)"], []
    for name, bits, is_input in _LITE:
        ports.append(_port("s_axi", name, bits, is_input, "PROTOCOL AXI4LITE" if name == "awaddr" else ""))
        low = f"[{REGISTER_BITS - 1}:0]" if bits == WINDOW_BITS else ""
        pins.append(f".s_axi_{name}_{'i' if is_input else 'o'}(s_axi_{name}{low})")
    above = f"{WINDOW_BITS - 1}:{REGISTER_BITS}"
    wires.append(f"  wire unused_window = ^{{s_axi_awaddr[{above}], s_axi_araddr[{above}]}};")
    inner = [_add_master(design.board.family, number, ports, wires) for number in range(2)]
    for name, _, is_input in _MASTER:
        pins.append(f".hp_{name}_{'i' if is_input else 'o'}({{{inner[1][name]}, {inner[0][name]}}})")
    lines = [
        f"// {design.top} of configuration {design.config.name} for a block design on {design.board.name};",
        "// written from the description.", "", f"module {MODULE} (",
        ",\n".join(ports), ");", "", *wires, f"  {design.top} #(",
        ",\n".join(f"    .{name}({value})" for name, value in design.parameters.items()),
        "  ) u_block (", ",\n".join(f"    {pin}" for pin in pins), "  );", "", "endmodule", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _add_master(family: str, number: int, ports: list[str], wires: list[str]) -> dict[str, str]:
    """Append the ports of a master, and wires where widths differ; return each signal's wire of the block's width."""
    inside = {}
    bus, axi4 = f"m{number}_axi", family == "zynq-ultrascale"
    facts = f"PROTOCOL {'AXI4' if axi4 else 'AXI3'}, MAX_BURST_LENGTH 16, NUM_READ_OUTSTANDING 8, NUM_WRITE_OUTSTANDING 8"
    for name, bits, is_input in _MASTER:
        outside = WIDER[family].get(name[2:], bits) if name[:2] in ("ar", "aw") else bits
        dropped = axi4 and name == "wid"
        inner = f"{bus}_{name}" if outside == bits and not dropped else f"core{number}_{name}"
        if inner.startswith("core"):
            wires.append(f"  wire [{bits - 1}:0] {inner};")
        if outside > bits:
            wires.append(f"  assign {bus}_{name} = {{{outside - bits}'d0, {inner}}};")
        elif outside < bits:
            wires.append(f"  assign {bus}_{name} = |{inner};")
        if not dropped:
            ports.append(_port(bus, name, outside, is_input, facts if name == "araddr" else ""))
        inside[name] = inner
    if axi4:
        wires += [f"  wire unused_wid{number} = ^core{number}_wid;", ""]
    return inside


def _clock_reset_interrupt() -> list[str]:
    signals = (
        ("input", "aclk", "clock", "CLK", "ASSOCIATED_BUSIF s_axi:m0_axi:m1_axi, ASSOCIATED_RESET aresetn"),
        ("input", "aresetn", "reset", "RST", "POLARITY ACTIVE_LOW"),
        ("output", "irq", "interrupt", "INTERRUPT", "SENSITIVITY LEVEL_HIGH"),
    )
    return [
        f'  (* X_INTERFACE_INFO = "xilinx.com:signal:{kind}:1.0 {name} {logical}" *)\n'
        f'  (* X_INTERFACE_PARAMETER = "{facts}" *)\n  {way} wire {name}'
        for way, name, kind, logical, facts in signals
    ]


def _port(bus: str, name: str, bits: int, is_input: int, facts: str) -> str:
    lines = [f'  (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 {bus} {name.upper()}" *)']
    if facts:
        lines.append(f'  (* X_INTERFACE_PARAMETER = "{facts}" *)')
    width = f" [{bits - 1}:0]" if bits > 1 else ""
    lines.append(f"  {'input' if is_input else 'output'} wire{width} {bus}_{name}")
    return "\n".join(lines)
