# pynq-z1-z7020: bitstream, hardware description and reports, by Vivado 2020.1 or later.
#   vivado -mode batch -nojournal -source build.tcl
set here [file normalize [file dirname [info script]]]
puts "joulegrad: Vivado [version -short]"

proc find_file {folder name} {
  foreach path [lsort [glob -nocomplain -directory $folder *]] {
    if {[file isdirectory $path]} {
      set found [find_file $path $name]
      if {$found ne ""} { return $found }
    } elseif {[file tail $path] eq $name} {
      return $path
    }
  }
  return ""
}

proc worst_slack {delay} {
  set paths [get_timing_paths -delay_type $delay -max_paths 1]
  if {[llength $paths] == 0} { error "no timing path: the clock does not reach the logic" }
  return [get_property SLACK [lindex $paths 0]]
}

create_project -force joulegrad $here/project -part xc7z020clg400-1
set_property target_language Verilog [current_project]
set systemverilog [list \
  <sources> \
]
add_files -norecurse $systemverilog
set_property file_type SystemVerilog [get_files $systemverilog]
set_property verilog_define {SYNTHESIS} [get_filesets sources_1]
add_files -norecurse $here/joulegrad_axi.v
update_compile_order -fileset sources_1

create_bd_design system
create_bd_cell -type ip -vlnv xilinx.com:ip:processing_system7 ps
set_property -dict [list \
  CONFIG.PCW_CRYSTAL_PERIPHERAL_FREQMHZ {50} \
  CONFIG.PCW_APU_PERIPHERAL_FREQMHZ {650} \
  CONFIG.PCW_PRESET_BANK0_VOLTAGE {LVCMOS 3.3V} \
  CONFIG.PCW_PRESET_BANK1_VOLTAGE {LVCMOS 1.8V} \
  CONFIG.PCW_UIPARAM_DDR_MEMORY_TYPE {DDR 3} \
  CONFIG.PCW_UIPARAM_DDR_PARTNO {MT41J256M16 RE-125} \
  CONFIG.PCW_UIPARAM_DDR_BUS_WIDTH {16 Bit} \
  CONFIG.PCW_UIPARAM_DDR_FREQ_MHZ {525} \
  CONFIG.PCW_UIPARAM_DDR_BOARD_DELAY0 {0.223} \
  CONFIG.PCW_UIPARAM_DDR_BOARD_DELAY1 {0.212} \
  CONFIG.PCW_UIPARAM_DDR_BOARD_DELAY2 {0.085} \
  CONFIG.PCW_UIPARAM_DDR_BOARD_DELAY3 {0.092} \
  CONFIG.PCW_UIPARAM_DDR_DQS_TO_CLK_DELAY_0 {0.040} \
  CONFIG.PCW_UIPARAM_DDR_DQS_TO_CLK_DELAY_1 {0.058} \
  CONFIG.PCW_UIPARAM_DDR_DQS_TO_CLK_DELAY_2 {-0.009} \
  CONFIG.PCW_UIPARAM_DDR_DQS_TO_CLK_DELAY_3 {-0.033} \
  CONFIG.PCW_USE_M_AXI_GP0 {1} \
  CONFIG.PCW_USE_S_AXI_HP0 {1} \
  CONFIG.PCW_USE_S_AXI_HP2 {1} \
  CONFIG.PCW_S_AXI_HP0_DATA_WIDTH {64} \
  CONFIG.PCW_S_AXI_HP2_DATA_WIDTH {64} \
  CONFIG.PCW_USE_FABRIC_INTERRUPT {1} \
  CONFIG.PCW_IRQ_F2P_INTR {1} \
  CONFIG.PCW_EN_CLK0_PORT {1} \
  CONFIG.PCW_EN_RST0_PORT {1} \
  CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ {100} \
] [get_bd_cells ps]
create_bd_intf_port -mode Master -vlnv xilinx.com:interface:ddrx_rtl:1.0 DDR
connect_bd_intf_net [get_bd_intf_ports DDR] [get_bd_intf_pins ps/DDR]
create_bd_intf_port -mode Master -vlnv xilinx.com:display_processing_system7:fixedio_rtl:1.0 FIXED_IO
connect_bd_intf_net [get_bd_intf_ports FIXED_IO] [get_bd_intf_pins ps/FIXED_IO]

create_bd_cell -type module -reference joulegrad_axi joulegrad_0
create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset reset
create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect control
set_property -dict [list CONFIG.NUM_SI {1} CONFIG.NUM_MI {2} CONFIG.NUM_CLKS {1}] [get_bd_cells control]
create_bd_cell -type ip -vlnv xilinx.com:ip:axi_intc axi_intc_0
set_property -dict [list CONFIG.C_IRQ_CONNECTION {1}] [get_bd_cells axi_intc_0]

foreach pin {reset/slowest_sync_clk joulegrad_0/aclk control/aclk axi_intc_0/s_axi_aclk ps/M_AXI_GP0_ACLK ps/S_AXI_HP0_ACLK ps/S_AXI_HP2_ACLK} {
  connect_bd_net [get_bd_pins ps/FCLK_CLK0] [get_bd_pins $pin]
}
connect_bd_net [get_bd_pins ps/FCLK_RESET0_N] [get_bd_pins reset/ext_reset_in]
foreach pin {joulegrad_0/aresetn control/aresetn axi_intc_0/s_axi_aresetn} {
  connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins $pin]
}
connect_bd_intf_net [get_bd_intf_pins ps/M_AXI_GP0] [get_bd_intf_pins control/S00_AXI]
connect_bd_intf_net [get_bd_intf_pins control/M00_AXI] [get_bd_intf_pins joulegrad_0/s_axi]
connect_bd_intf_net [get_bd_intf_pins control/M01_AXI] [get_bd_intf_pins axi_intc_0/s_axi]
connect_bd_intf_net [get_bd_intf_pins joulegrad_0/m0_axi] [get_bd_intf_pins ps/S_AXI_HP0]
connect_bd_intf_net [get_bd_intf_pins joulegrad_0/m1_axi] [get_bd_intf_pins ps/S_AXI_HP2]
connect_bd_net [get_bd_pins joulegrad_0/irq] [get_bd_pins axi_intc_0/intr]
connect_bd_net [get_bd_pins axi_intc_0/irq] [get_bd_pins ps/IRQ_F2P]

assign_bd_address -offset 0x40000000 -range 0x00010000 \
  -target_address_space [get_bd_addr_spaces ps/Data] [get_bd_addr_segs joulegrad_0/s_axi/reg0] -force
assign_bd_address -offset 0x41800000 -range 0x00010000 \
  -target_address_space [get_bd_addr_spaces ps/Data] [get_bd_addr_segs axi_intc_0/S_AXI/Reg] -force
assign_bd_address -offset 0x00000000 -range 0x20000000 \
  -target_address_space [get_bd_addr_spaces joulegrad_0/m0_axi] [get_bd_addr_segs ps/S_AXI_HP0/HP0_DDR_LOWOCM] -force
assign_bd_address -offset 0x00000000 -range 0x20000000 \
  -target_address_space [get_bd_addr_spaces joulegrad_0/m1_axi] [get_bd_addr_segs ps/S_AXI_HP2/HP2_DDR_LOWOCM] -force
validate_bd_design
save_bd_design

set design [get_files system.bd]
set_property synth_checkpoint_mode None $design
make_wrapper -files $design -top -import
set_property top system_wrapper [get_filesets sources_1]
update_compile_order -fileset sources_1
generate_target all $design

set_property STEPS.PHYS_OPT_DESIGN.IS_ENABLED true [get_runs impl_1]
launch_runs impl_1 -to_step write_bitstream -jobs 4
wait_on_run impl_1
foreach run {synth_1 impl_1} {
  if {[get_property PROGRESS [get_runs $run]] ne "100%"} {
    error "$run ended with: [get_property STATUS [get_runs $run]]"
  }
}
foreach {name as} {system_wrapper.bit joulegrad.bit system.hwh joulegrad.hwh} {
  set found [find_file $here/project $name]
  if {$found eq ""} { error "Vivado made no $name" }
  file copy -force $found $here/$as
}

open_run impl_1
report_utilization -file $here/utilisation.rpt
report_utilization -hierarchical -file $here/utilisation_by_module.rpt
report_timing_summary -max_paths 10 -file $here/timing.rpt
report_drc -file $here/drc.rpt
report_power -file $here/power.rpt

set result [open $here/result.txt w]
puts $result "vivado [version -short]"
puts $result "period_ns [get_property PERIOD [lindex [get_clocks] 0]]"
puts $result "setup_slack_ns [worst_slack max]"
puts $result "hold_slack_ns [worst_slack min]"
close $result
