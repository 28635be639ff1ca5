# ultra96v2-z7020: bitstream, hardware description and reports, by Vivado 2020.1 or later.
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

create_project -force joulegrad $here/project -part xczu3eg-sbva484-1-i
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
create_bd_cell -type ip -vlnv xilinx.com:ip:zynq_ultra_ps_e ps
set_property -dict [list \
  CONFIG.PSU__PSS_REF_CLK__FREQMHZ {33.3333} \
  CONFIG.PSU__CRF_APB__DDR_CTRL__FREQMHZ {533} \
  CONFIG.PSU__DDRC__MEMORY_TYPE {LPDDR 4} \
  CONFIG.PSU__DDRC__COMPONENTS {Components} \
  CONFIG.PSU__DDRC__BUS_WIDTH {32 Bit} \
  CONFIG.PSU__DDRC__DRAM_WIDTH {32 Bits} \
  CONFIG.PSU__DDRC__DEVICE_CAPACITY {16384 MBits} \
  CONFIG.PSU__DDRC__BANK_ADDR_COUNT {3} \
  CONFIG.PSU__DDRC__BG_ADDR_COUNT {NA} \
  CONFIG.PSU__DDRC__ROW_ADDR_COUNT {16} \
  CONFIG.PSU__DDRC__COL_ADDR_COUNT {10} \
  CONFIG.PSU__DDRC__RANK_ADDR_COUNT {0} \
  CONFIG.PSU__DDRC__SPEED_BIN {LPDDR4_1066} \
  CONFIG.PSU__DDRC__CL {NA} \
  CONFIG.PSU__DDRC__CWL {NA} \
  CONFIG.PSU__DDRC__T_RCD {10} \
  CONFIG.PSU__DDRC__T_RP {12} \
  CONFIG.PSU__DDRC__T_RC {64} \
  CONFIG.PSU__DDRC__T_RAS_MIN {42} \
  CONFIG.PSU__DDRC__T_FAW {40} \
  CONFIG.PSU__USE__M_AXI_GP0 {1} \
  CONFIG.PSU__USE__M_AXI_GP1 {0} \
  CONFIG.PSU__USE__M_AXI_GP2 {0} \
  CONFIG.PSU__MAXIGP0__DATA_WIDTH {32} \
  CONFIG.PSU__USE__S_AXI_GP2 {1} \
  CONFIG.PSU__USE__S_AXI_GP4 {1} \
  CONFIG.PSU__SAXIGP2__DATA_WIDTH {64} \
  CONFIG.PSU__SAXIGP4__DATA_WIDTH {64} \
  CONFIG.PSU__USE__IRQ0 {1} \
  CONFIG.PSU__FPGA_PL0_ENABLE {1} \
  CONFIG.PSU__CRL_APB__PL0_REF_CTRL__SRCSEL {IOPLL} \
  CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ {100} \
] [get_bd_cells ps]


create_bd_cell -type module -reference joulegrad_axi joulegrad_0
create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset reset
create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect control
set_property -dict [list CONFIG.NUM_SI {1} CONFIG.NUM_MI {2} CONFIG.NUM_CLKS {1}] [get_bd_cells control]
create_bd_cell -type ip -vlnv xilinx.com:ip:axi_intc axi_intc_0
set_property -dict [list CONFIG.C_IRQ_CONNECTION {1}] [get_bd_cells axi_intc_0]

foreach pin {reset/slowest_sync_clk joulegrad_0/aclk control/aclk axi_intc_0/s_axi_aclk ps/maxihpm0_fpd_aclk ps/saxihp0_fpd_aclk ps/saxihp2_fpd_aclk} {
  connect_bd_net [get_bd_pins ps/pl_clk0] [get_bd_pins $pin]
}
connect_bd_net [get_bd_pins ps/pl_resetn0] [get_bd_pins reset/ext_reset_in]
foreach pin {joulegrad_0/aresetn control/aresetn axi_intc_0/s_axi_aresetn} {
  connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins $pin]
}
connect_bd_intf_net [get_bd_intf_pins ps/M_AXI_HPM0_FPD] [get_bd_intf_pins control/S00_AXI]
connect_bd_intf_net [get_bd_intf_pins control/M00_AXI] [get_bd_intf_pins joulegrad_0/s_axi]
connect_bd_intf_net [get_bd_intf_pins control/M01_AXI] [get_bd_intf_pins axi_intc_0/s_axi]
connect_bd_intf_net [get_bd_intf_pins joulegrad_0/m0_axi] [get_bd_intf_pins ps/S_AXI_HP0_FPD]
connect_bd_intf_net [get_bd_intf_pins joulegrad_0/m1_axi] [get_bd_intf_pins ps/S_AXI_HP2_FPD]
connect_bd_net [get_bd_pins joulegrad_0/irq] [get_bd_pins axi_intc_0/intr]
connect_bd_net [get_bd_pins axi_intc_0/irq] [get_bd_pins ps/pl_ps_irq0]

assign_bd_address -offset 0xa0000000 -range 0x00010000 \
  -target_address_space [get_bd_addr_spaces ps/Data] [get_bd_addr_segs joulegrad_0/s_axi/reg0] -force
assign_bd_address -offset 0xa0010000 -range 0x00010000 \
  -target_address_space [get_bd_addr_spaces ps/Data] [get_bd_addr_segs axi_intc_0/S_AXI/Reg] -force
assign_bd_address -offset 0x00000000 -range 0x80000000 \
  -target_address_space [get_bd_addr_spaces joulegrad_0/m0_axi] [get_bd_addr_segs ps/SAXIGP2/HP0_DDR_LOW] -force
assign_bd_address -offset 0x00000000 -range 0x80000000 \
  -target_address_space [get_bd_addr_spaces joulegrad_0/m1_axi] [get_bd_addr_segs ps/SAXIGP4/HP2_DDR_LOW] -force
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
