"""The Tcl script that makes a Zynq bitstream with Vivado: block design, address map, implementation, reports.

It runs on any Vivado from 2020.1, needs no board files, and reads only what lies beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

from hw.design import Design
from hw.vivado_wrapper import MODULE

NAME = "joulegrad"
ACTIVITY_ROOT = "TOP/joulegrad_core"
"""Where the core stands in a SAIF file of the simulated core."""


@dataclass(frozen=True)
class Processor:
    """Names of a processing system in block designs.

    Attributes:
        ip: its IP.
        settings: what the design needs of it, clock apart.
        clock_setting: property that takes the clock's frequency in MHz.
        clock, reset, interrupt: pins.
        master: the port that reaches the registers.
        slaves: the two ports of the core's masters.
        clock_pins: pins that take the clock.
        segments: address segments of the memory behind the slaves.
        external: interface port and its type that leave the chip by the processing system's own pins.
    """

    ip: str
    settings: dict[str, str]
    clock_setting: str
    clock: str
    reset: str
    interrupt: str
    master: str
    slaves: tuple[str, str]
    clock_pins: tuple[str, ...]
    segments: tuple[str, str]
    external: dict[str, str]


PROCESSORS = {
    "zynq-7000": Processor(
        ip="processing_system7",
        settings={
            "PCW_USE_M_AXI_GP0": "1", "PCW_USE_S_AXI_HP0": "1", "PCW_USE_S_AXI_HP2": "1", "PCW_S_AXI_HP0_DATA_WIDTH": "64",
            "PCW_S_AXI_HP2_DATA_WIDTH": "64", "PCW_USE_FABRIC_INTERRUPT": "1", "PCW_IRQ_F2P_INTR": "1", "PCW_EN_CLK0_PORT": "1",
            "PCW_EN_RST0_PORT": "1",
        },
        clock_setting="PCW_FPGA0_PERIPHERAL_FREQMHZ",
        clock="FCLK_CLK0", reset="FCLK_RESET0_N", interrupt="IRQ_F2P", master="M_AXI_GP0", slaves=("S_AXI_HP0", "S_AXI_HP2"),
        clock_pins=("M_AXI_GP0_ACLK", "S_AXI_HP0_ACLK", "S_AXI_HP2_ACLK"),
        segments=("S_AXI_HP0/HP0_DDR_LOWOCM", "S_AXI_HP2/HP2_DDR_LOWOCM"),
        external={
            "DDR": "xilinx.com:interface:ddrx_rtl:1.0", "FIXED_IO": "xilinx.com:display_processing_system7:fixedio_rtl:1.0",
        },
    ),
    "zynq-ultrascale": Processor(
        ip="zynq_ultra_ps_e",
        settings={
            "PSU__USE__M_AXI_GP0": "1", "PSU__USE__M_AXI_GP1": "0", "PSU__USE__M_AXI_GP2": "0", "PSU__MAXIGP0__DATA_WIDTH": "32",
            "PSU__USE__S_AXI_GP2": "1", "PSU__USE__S_AXI_GP4": "1", "PSU__SAXIGP2__DATA_WIDTH": "64",
            "PSU__SAXIGP4__DATA_WIDTH": "64", "PSU__USE__IRQ0": "1", "PSU__FPGA_PL0_ENABLE": "1",
            # PYNQ sets the clock's dividers, never its source: boot images leave that at the I/O PLL, Vivado takes another.
            "PSU__CRL_APB__PL0_REF_CTRL__SRCSEL": "IOPLL",
        },
        clock_setting="PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ",
        clock="pl_clk0", reset="pl_resetn0", interrupt="pl_ps_irq0", master="M_AXI_HPM0_FPD",
        slaves=("S_AXI_HP0_FPD", "S_AXI_HP2_FPD"), clock_pins=("maxihpm0_fpd_aclk", "saxihp0_fpd_aclk", "saxihp2_fpd_aclk"),
        segments=("SAXIGP2/HP0_DDR_LOW", "SAXIGP4/HP2_DDR_LOW"), external={},
    ),
}  # fmt: skip


def script(design: Design, sources: list[str], activity: str | None) -> str:
    """Return the Tcl text.

    Args:
        design: what to build; its board has a processing system.
        sources: RTL files, from the script's folder.
        activity: SAIF file of signal activity, from there, or None for the tool's own guess.
    """
    block = [_processor(design), _connections(design), _addresses(design)]
    return "\n".join([_project(design, sources), *block, _build(), _reports(activity)])


def _project(design: Design, sources: list[str]) -> str:
    systemverilog = "\n".join(f"  $here/{path} \\" for path in sources)
    return f"""# {design.name}: bitstream, hardware description and reports, by Vivado 2020.1 or later.
#   vivado -mode batch -nojournal -source build.tcl
set here [file normalize [file dirname [info script]]]
puts "{NAME}: Vivado [version -short]"

proc find_file {{folder name}} {{
  foreach path [lsort [glob -nocomplain -directory $folder *]] {{
    if {{[file isdirectory $path]}} {{
      set found [find_file $path $name]
      if {{$found ne ""}} {{ return $found }}
    }} elseif {{[file tail $path] eq $name}} {{
      return $path
    }}
  }}
  return ""
}}

proc worst_slack {{delay}} {{
  set paths [get_timing_paths -delay_type $delay -max_paths 1]
  if {{[llength $paths] == 0}} {{ error "no timing path: the clock does not reach the logic" }}
  return [get_property SLACK [lindex $paths 0]]
}}

create_project -force {NAME} $here/project -part {design.board.part}
set_property target_language Verilog [current_project]
set systemverilog [list \\
{systemverilog}
]
add_files -norecurse $systemverilog
set_property file_type SystemVerilog [get_files $systemverilog]
set_property verilog_define {{SYNTHESIS}} [get_filesets sources_1]
add_files -norecurse $here/{MODULE}.v
update_compile_order -fileset sources_1
"""


def _processor(design: Design) -> str:
    ps = PROCESSORS[design.board.family]
    clock = {ps.clock_setting: f"{design.clk_hz / 1e6:g}"}
    settings = "\n".join(f"  CONFIG.{name} {{{value}}} \\" for name, value in {**design.board.ps, **ps.settings, **clock}.items())
    external = "\n".join(
        f"create_bd_intf_port -mode Master -vlnv {kind} {name}\n"
        f"connect_bd_intf_net [get_bd_intf_ports {name}] [get_bd_intf_pins ps/{name}]"
        for name, kind in ps.external.items()
    )
    return f"""create_bd_design system
create_bd_cell -type ip -vlnv xilinx.com:ip:{ps.ip} ps
set_property -dict [list \\
{settings}
] [get_bd_cells ps]
{external}
"""


def _connections(design: Design) -> str:
    ps = PROCESSORS[design.board.family]
    clocked = ["reset/slowest_sync_clk", "joulegrad_0/aclk", "control/aclk", "axi_intc_0/s_axi_aclk"]
    clocked += [f"ps/{pin}" for pin in ps.clock_pins]
    reset = ["joulegrad_0/aresetn", "control/aresetn", "axi_intc_0/s_axi_aresetn"]
    masters = "\n".join(
        f"connect_bd_intf_net [get_bd_intf_pins joulegrad_0/m{number}_axi] [get_bd_intf_pins ps/{slave}]"
        for number, slave in enumerate(ps.slaves)
    )
    return f"""create_bd_cell -type module -reference {MODULE} joulegrad_0
create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset reset
create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect control
set_property -dict [list CONFIG.NUM_SI {{1}} CONFIG.NUM_MI {{2}} CONFIG.NUM_CLKS {{1}}] [get_bd_cells control]
create_bd_cell -type ip -vlnv xilinx.com:ip:axi_intc axi_intc_0
set_property -dict [list CONFIG.C_IRQ_CONNECTION {{1}}] [get_bd_cells axi_intc_0]

foreach pin {{{' '.join(clocked)}}} {{
  connect_bd_net [get_bd_pins ps/{ps.clock}] [get_bd_pins $pin]
}}
connect_bd_net [get_bd_pins ps/{ps.reset}] [get_bd_pins reset/ext_reset_in]
foreach pin {{{' '.join(reset)}}} {{
  connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins $pin]
}}
connect_bd_intf_net [get_bd_intf_pins ps/{ps.master}] [get_bd_intf_pins control/S00_AXI]
connect_bd_intf_net [get_bd_intf_pins control/M00_AXI] [get_bd_intf_pins joulegrad_0/s_axi]
connect_bd_intf_net [get_bd_intf_pins control/M01_AXI] [get_bd_intf_pins axi_intc_0/s_axi]
{masters}
connect_bd_net [get_bd_pins joulegrad_0/irq] [get_bd_pins axi_intc_0/intr]
connect_bd_net [get_bd_pins axi_intc_0/irq] [get_bd_pins ps/{ps.interrupt}]
"""


def _addresses(design: Design) -> str:
    ps, memory, control = PROCESSORS[design.board.family], design.board.memory, design.board.control
    rows = [
        (control["base"], control["bytes"], "ps/Data", "joulegrad_0/s_axi/reg0"),
        (control["interrupts"], control["bytes"], "ps/Data", "axi_intc_0/S_AXI/Reg"),
        *(
            (memory["base"], memory["bytes"], f"joulegrad_0/m{number}_axi", f"ps/{segment}")
            for number, segment in enumerate(ps.segments)
        ),
    ]
    lines = [
        f"assign_bd_address -offset 0x{base:08x} -range 0x{size:08x} \\\n"
        f"  -target_address_space [get_bd_addr_spaces {space}] [get_bd_addr_segs {segment}] -force"
        for base, size, space, segment in rows
    ]
    return "\n".join([*lines, "validate_bd_design", "save_bd_design", ""])


def _build() -> str:
    return f"""set design [get_files system.bd]
set_property synth_checkpoint_mode None $design
make_wrapper -files $design -top -import
set_property top system_wrapper [get_filesets sources_1]
update_compile_order -fileset sources_1
generate_target all $design

set_property STEPS.PHYS_OPT_DESIGN.IS_ENABLED true [get_runs impl_1]
launch_runs impl_1 -to_step write_bitstream -jobs 4
wait_on_run impl_1
foreach run {{synth_1 impl_1}} {{
  if {{[get_property PROGRESS [get_runs $run]] ne "100%"}} {{
    error "$run ended with: [get_property STATUS [get_runs $run]]"
  }}
}}
foreach {{name as}} {{system_wrapper.bit {NAME}.bit system.hwh {NAME}.hwh}} {{
  set found [find_file $here/project $name]
  if {{$found eq ""}} {{ error "Vivado made no $name" }}
  file copy -force $found $here/$as
}}
"""


def _reports(activity: str | None) -> str:
    read = ""
    if activity is not None:
        read = f"""current_instance system_i/joulegrad_0/inst/u_block/u_core
read_saif -strip_path {ACTIVITY_ROOT} -out_file $here/unmatched.rpt $here/{activity}
current_instance
"""
    return f"""open_run impl_1
report_utilization -file $here/utilisation.rpt
report_utilization -hierarchical -file $here/utilisation_by_module.rpt
report_timing_summary -max_paths 10 -file $here/timing.rpt
report_drc -file $here/drc.rpt
{read}report_power -file $here/power.rpt

set result [open $here/result.txt w]
puts $result "vivado [version -short]"
puts $result "period_ns [get_property PERIOD [lindex [get_clocks] 0]]"
puts $result "setup_slack_ns [worst_slack max]"
puts $result "hold_slack_ns [worst_slack min]"
close $result
"""
