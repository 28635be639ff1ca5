// The RTL of the core, leaves first; the package joulegrad_pkg is written by hw/isa.py and comes before all of them.
// level 0
rtl/activity.sv
rtl/array_passes.sv
rtl/array_sequencer.sv
rtl/axi_register.sv
rtl/burst_splitter.sv
rtl/bus_activity.sv
rtl/channel_sum.sv
rtl/control.sv
rtl/first_error.sv
rtl/image_addresses.sv
rtl/lane_maximum.sv
rtl/mac_pair.sv
rtl/operand_rounder.sv
rtl/mask_stream.sv
rtl/noise_position.sv
rtl/noise_unit.sv
rtl/overlap_guard.sv
rtl/ram_1r1w.sv
rtl/ram_async.sv
rtl/read_arbiter.sv
rtl/scalar_divider.sv
rtl/scalar_multiplier.sv
rtl/scalar_root.sv
rtl/scalar_shifter.sv
rtl/tokens.sv
rtl/transfer_order.sv
rtl/two_way_choice.sv
rtl/vector_lane.sv
rtl/vector_sequencer.sv
rtl/vector_table.sv
rtl/vector_writer.sv
rtl/weight_loader.sv
rtl/word_packer.sv
// level 1
rtl/accumulators.sv
rtl/channel_sums.sv
rtl/counters.sv
rtl/fetch.sv
rtl/fifo.sv
rtl/issue.sv
rtl/mac_array.sv
rtl/scalar_alu.sv
rtl/scalar_registers.sv
rtl/scratchpad.sv
rtl/table_memory.sv
rtl/transfer_addresses.sv
rtl/vector_lanes.sv
// level 2
rtl/array_engine.sv
rtl/coefficient_engine.sv
rtl/core_memories.sv
rtl/instruction_unit.sv
rtl/read_port.sv
rtl/vector_engine.sv
rtl/write_port.sv
// level 3
rtl/load_engine.sv
rtl/store_engine.sv
// level 4
rtl/joulegrad_core.sv
