// The RTL around the core on boards, leaves first; hw/files.f holds the core, which comes before it.
// level 0
board_rtl/axi3_to_lite.sv
board_rtl/axi_register.sv
board_rtl/reset_synchroniser.sv
// level 1
board_rtl/hp_port.sv
// level 2
board_rtl/joulegrad_zynq.sv
// tops
board_rtl/openxc7_top.sv
