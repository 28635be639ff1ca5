// The RTL around the core on boards, leaves first; hw/files.f holds the core, which comes before it.
// level 0
board_rtl/axi3_to_lite.sv
board_rtl/crc32_step.sv
board_rtl/memory_port.sv
board_rtl/ram_strobed.sv
board_rtl/reset_synchroniser.sv
board_rtl/uart_rx.sv
board_rtl/uart_tx.sv
// level 1
board_rtl/hp_port.sv
board_rtl/onchip_memory.sv
board_rtl/packet_receiver.sv
board_rtl/packet_sender.sv
// level 2
board_rtl/joulegrad_zynq.sv
board_rtl/serial_bridge.sv
// level 3
board_rtl/serial_board_top.sv
// tops
board_rtl/openxc7_top.sv
board_rtl/ulx3s_top.sv
