// The array engine with its memories, the accumulators and counters of what it does; memories A, W and BL
// are filled by back door.

module array_bench import joulegrad_pkg::*; #(
  parameter int unsigned G          = 4,
  parameter int unsigned AWords     = 1024,
  parameter int unsigned WWords     = 512,
  parameter int unsigned AccRows    = 128,
  parameter int unsigned BlockWords = 16
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  input  logic                      start_valid_i,
  output logic                      start_ready_o,
  input  logic [ArrayInstrBits-1:0] instr_i,
  output logic                      done_o,
  output logic                      idle_o,
  input  logic [15:0]               image_count_i,

  input  logic                      fill_i,  // write fill_data_i at fill_addr_i: 0 A, 1 W, 2 BL
  input  logic [1:0]                fill_memory_i,
  input  logic [15:0]               fill_addr_i,
  input  logic [127:0]              fill_data_i,

  input  logic                      vec_ren_i,
  input  logic [15:0]               vec_addr_i,
  input  logic                      vec_clear_i,
  output logic [32*G-1:0]           vec_rdata_o,
  output logic                      conflict_o,

  output logic [31:0]               cycles_o,  // since start, until done
  output logic [3:0][31:0]          slots_o,
  output logic [31:0]               macs_o,
  output logic [31:0]               macs_pair_o,
  output logic [31:0]               blocks_o,
  output logic [31:0]               drained_o,
  output logic [31:0]               spad_reads_o,
  output logic [31:0]               acc_rows_o
);

  logic            a_ren, w_ren, bl_ren, acc_valid, acc_max, acc_busy;
  logic [15:0]     a_addr, w_addr, bl_addr, acc_addr;
  logic [8*G-1:0]  a_rdata, w_rdata;
  logic [63:0]     bl_rdata;
  logic [32*G-1:0] acc_data;
  logic            ev_slot, ev_mac, ev_mac_pair, ev_block, ev_drain;
  logic [1:0]      ev_product;
  logic            unused;

  assign unused = ^{a_addr, w_addr, bl_addr, fill_addr_i, fill_data_i};

  array_engine #(.G(G)) u_engine (
    .clk_i, .rst_ni, .start_valid_i, .start_ready_o, .instr_i(array_instr_t'(instr_i)), .done_o, .idle_o, .image_count_i,
    .a_ren_o(a_ren), .a_addr_o(a_addr), .a_rdata_i(a_rdata), .w_ren_o(w_ren), .w_addr_o(w_addr), .w_rdata_i(w_rdata),
    .bl_ren_o(bl_ren), .bl_addr_o(bl_addr), .bl_rdata_i(bl_rdata),
    .acc_valid_o(acc_valid), .acc_addr_o(acc_addr), .acc_max_o(acc_max), .acc_data_o(acc_data), .acc_busy_i(acc_busy),
    .ev_slot_o(ev_slot), .ev_product_o(ev_product), .ev_mac_o(ev_mac), .ev_mac_pair_o(ev_mac_pair), .ev_block_o(ev_block), .ev_drain_o(ev_drain)
  );

  accumulators #(.G(G), .AccRows(AccRows)) u_accumulators (
    .clk_i, .rst_ni, .acc_valid_i(acc_valid), .acc_addr_i(acc_addr), .acc_max_i(acc_max), .acc_data_i(acc_data),
    .vec_ren_i, .vec_addr_i, .vec_clear_i, .vec_rdata_o, .conflict_o, .busy_o(acc_busy)
  );

  ram_1r1w #(.Width(8 * G), .Depth(AWords)) u_mem_a (
    .clk_i, .ren_i(a_ren), .raddr_i(a_addr[$clog2(AWords)-1:0]), .rdata_o(a_rdata),
    .wen_i(fill_i && fill_memory_i == 2'd0), .waddr_i(fill_addr_i[$clog2(AWords)-1:0]), .wdata_i(fill_data_i[8*G-1:0])
  );

  ram_1r1w #(.Width(8 * G), .Depth(WWords)) u_mem_w (
    .clk_i, .ren_i(w_ren), .raddr_i(w_addr[$clog2(WWords)-1:0]), .rdata_o(w_rdata),
    .wen_i(fill_i && fill_memory_i == 2'd1), .waddr_i(fill_addr_i[$clog2(WWords)-1:0]), .wdata_i(fill_data_i[8*G-1:0])
  );

  ram_1r1w #(.Width(64), .Depth(BlockWords)) u_mem_bl (
    .clk_i, .ren_i(bl_ren), .raddr_i(bl_addr[$clog2(BlockWords)-1:0]), .rdata_o(bl_rdata),
    .wen_i(fill_i && fill_memory_i == 2'd2), .waddr_i(fill_addr_i[$clog2(BlockWords)-1:0]), .wdata_i(fill_data_i[63:0])
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni || (start_valid_i && start_ready_o)) begin
      cycles_o     <= '0;
      slots_o      <= '0;
      macs_o       <= '0;
      macs_pair_o  <= '0;
      blocks_o     <= '0;
      drained_o    <= '0;
      spad_reads_o <= '0;
      acc_rows_o   <= '0;
    end else begin
      if (!idle_o) cycles_o <= cycles_o + 1;
      if (ev_slot) slots_o[ev_product] <= slots_o[ev_product] + 1;
      macs_o       <= macs_o + (ev_mac ? G * G : 0);
      macs_pair_o  <= macs_pair_o + (ev_mac_pair ? 2 * G * G : 0);
      blocks_o     <= blocks_o + 32'(ev_block);
      drained_o    <= drained_o + 32'(ev_drain);
      spad_reads_o <= spad_reads_o + 32'(a_ren) + 32'(w_ren);
      acc_rows_o   <= acc_rows_o + 32'(acc_valid);
    end
  end

  DoneWhenWrittenA : assert property (@(posedge clk_i) disable iff (!rst_ni) done_o |-> !acc_busy);

endmodule
