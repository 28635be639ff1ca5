// Load engine: strided transfers from DDR into the on-chip memories.
//
//   mem[dst + k] = DDR[base + addr + image * img_stride + j * grp_stride + k word bytes],  k < run
//
// Runs are cut into bursts of at most 16 beats within 128-byte stripes; stripe address[7] chooses the master. At most
// 8 bursts are outstanding on each; their words are written in whichever order they arrive. Up to 4 instructions
// are under way; done_o comes in order, when all words are in the memory; a word goes through a register slice on its way. Peak: one word per cycle, or 2 AxiBits
// per cycle. A run that overlaps words of an earlier instruction waits for its end, and nothing starts while the
// image list is being loaded, so that the effect is that of one instruction after the other.
// Golden: hw/golden_memory.py execute_load().

module load_engine
  import joulegrad_pkg::*;
#(
  parameter  int unsigned G            = 4,
  parameter  int unsigned AxiBits      = 32,
  parameter  int unsigned AWords       = 1024,
  parameter  int unsigned WWords       = 512,
  parameter  int unsigned VectorWords  = 256,
  parameter  int unsigned MaskWords    = 64,
  parameter  int unsigned TableWords   = 1024,
  parameter  int unsigned ProgramWords = 1024,
  parameter  int unsigned ListWords    = 512,
  parameter  int unsigned BlockWords   = 16,
  localparam int unsigned MemBits      = G * 8 > 64 ? G * 8 : 64
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic [31:0]        base_i,         // DDR address of offset 0
  input  logic [15:0]        image_count_i,
  input  logic               stop_i,         // no new bursts; those under way end

  input  logic               start_valid_i,
  output logic               start_ready_o,
  input  load_instr_t        instr_i,
  output logic               done_o,
  output logic               idle_o,
  output logic [3:0]         error_o,        // an error code for one cycle
  output logic               wait_o,         // bursts outstanding and no read data arrives on either port

  output logic               il_ren_o,
  output logic [15:0]        il_addr_o,
  input  logic [31:0]        il_rdata_i,

  output logic               mem_wreq_o,
  input  logic               mem_wgnt_i,
  output logic [3:0]         mem_wsel_o,     // number in MEMORIES of hw/isa.py
  output logic [15:0]        mem_waddr_o,
  output logic [MemBits-1:0] mem_wdata_o,    // words of 8 bytes in bits 63:0

  output logic [5:0]         m0_axi_arid_o,
  output logic [31:0]        m0_axi_araddr_o,
  output logic [3:0]         m0_axi_arlen_o,
  output logic [2:0]         m0_axi_arsize_o,
  output logic [1:0]         m0_axi_arburst_o,
  output logic               m0_axi_arvalid_o,
  input  logic               m0_axi_arready_i,
  input  logic [5:0]         m0_axi_rid_i,
  input  logic [AxiBits-1:0] m0_axi_rdata_i,
  input  logic [1:0]         m0_axi_rresp_i,
  input  logic               m0_axi_rlast_i,
  input  logic               m0_axi_rvalid_i,
  output logic               m0_axi_rready_o,

  output logic [5:0]         m1_axi_arid_o,
  output logic [31:0]        m1_axi_araddr_o,
  output logic [3:0]         m1_axi_arlen_o,
  output logic [2:0]         m1_axi_arsize_o,
  output logic [1:0]         m1_axi_arburst_o,
  output logic               m1_axi_arvalid_o,
  input  logic               m1_axi_arready_i,
  input  logic [5:0]         m1_axi_rid_i,
  input  logic [AxiBits-1:0] m1_axi_rdata_i,
  input  logic [1:0]         m1_axi_rresp_i,
  input  logic               m1_axi_rlast_i,
  input  logic               m1_axi_rvalid_i,
  output logic               m1_axi_rready_o
);

  logic        halted_q, halt, start, addresses_ready, list_load_q;
  logic [1:0]  new_tag;
  logic        full, empty, bad;
  logic [3:0]  active;

  logic        run_valid, run_ready, run_last, run_free, splitter_ready;
  logic [31:0] run_addr;
  logic [15:0] run_word, run_words;
  logic [16:0] run_end;
  logic [3:0]  run_sel;
  logic [1:0]  run_tag;

  logic        burst_valid, burst_ready, burst_last;
  logic [31:0] burst_addr;
  logic [15:0] burst_word;
  logic [3:0]  burst_len, burst_sel;
  logic [1:0]  burst_tag;

  logic [1:0]               port_ready, word_valid, word_ready, word_last, outstanding, port_error, arvalid;
  logic [1:0][3:0]          word_sel;
  logic [1:0][15:0]         word_addr;
  logic [1:0][MemBits-1:0]  word_data;
  logic [1:0][1:0]          word_tag;
  logic                     choice, slice_ready, written, written_last;
  logic [1:0]               written_tag;

  // An error of its own or elsewhere stops the engine until the next reset.
  assign error_o = halted_q ? ErrorNone : |port_error ? ErrorReadError : bad ? ErrorBadAddress : ErrorNone;
  assign halt    = halted_q || stop_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) halted_q <= 1'b0;
    else if (stop_i || error_o != ErrorNone) halted_q <= 1'b1;
  end

  assign start_ready_o = addresses_ready && !full && !list_load_q && !halt;
  assign start         = start_valid_i && start_ready_o;
  assign idle_o        = addresses_ready && !burst_valid && outstanding == '0 && word_valid == '0 && !mem_wreq_o && arvalid == '0
                         && (active == '0 || halted_q);
  assign wait_o        = outstanding != '0 && !m0_axi_rvalid_i && !m1_axi_rvalid_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) list_load_q <= 1'b0;
    else if (start && instr_i.mem == MemIL) list_load_q <= 1'b1;
    else if (active == '0) list_load_q <= 1'b0;
  end

  logic order_done;
  assign done_o = order_done && !halt;

  transfer_order u_order (
    .clk_i,
    .rst_ni,
    .start_i     (start),
    .tag_o       (new_tag),
    .full_o      (full),
    .issue_i     (burst_valid && burst_ready),
    .issue_tag_i (burst_tag),
    .issue_last_i(burst_last),
    .empty_i     (empty),
    .empty_tag_i (run_tag),
    .retire_i    (written && written_last),
    .retire_tag_i(written_tag),
    .done_o      (order_done),
    .active_o    (active)
  );

  transfer_addresses #(
    .G(G),
    .AWords(AWords),
    .WWords(WWords),
    .VectorWords(VectorWords),
    .MaskWords(MaskWords),
    .TableWords(TableWords),
    .ProgramWords(ProgramWords),
    .ListWords(ListWords),
    .BlockWords(BlockWords)
  ) u_addresses (
    .clk_i,
    .rst_ni,
    .flush_i      (halt),
    .base_i,
    .image_count_i,
    .start_valid_i(start),
    .start_ready_o(addresses_ready),
    .instr_i,
    .tag_i        (new_tag),
    .il_ren_o,
    .il_addr_o,
    .il_rdata_i   (il_rdata_i[15:0]),
    .run_valid_o  (run_valid),
    .run_ready_i  (run_ready),
    .run_addr_o   (run_addr),
    .run_word_o   (run_word),
    .run_end_o    (run_end),
    .run_words_o  (run_words),
    .run_sel_o    (run_sel),
    .run_tag_o    (run_tag),
    .run_last_o   (run_last),
    .empty_o      (empty),
    .bad_o        (bad)
  );

  overlap_guard u_guard (
    .clk_i,
    .start_i     (start),
    .start_tag_i (new_tag),
    .start_sel_i (instr_i.mem),
    .start_word_i(instr_i.base),
    .active_i    (active),
    .run_taken_i (run_valid && run_ready),
    .run_tag_i   (run_tag),
    .run_word_i  (run_word),
    .run_end_i   (run_end),
    .run_free_o  (run_free)
  );

  assign run_ready = splitter_ready && run_free;

  burst_splitter #(
    .G(G),
    .AxiBits(AxiBits)
  ) u_splitter (
    .clk_i,
    .rst_ni,
    .flush_i      (halt),
    .run_valid_i  (run_valid && run_free),
    .run_ready_o  (splitter_ready),
    .run_addr_i   (run_addr),
    .run_word_i   (run_word),
    .run_words_i  (run_words),
    .run_sel_i    (run_sel),
    .run_tag_i    (run_tag),
    .run_last_i   (run_last),
    .burst_valid_o(burst_valid),
    .burst_ready_i(burst_ready),
    .burst_addr_o (burst_addr),
    .burst_len_o  (burst_len),
    .burst_word_o (burst_word),
    .burst_sel_o  (burst_sel),
    .burst_tag_o  (burst_tag),
    .burst_last_o (burst_last)
  );

  // A stop in the cycle of an offer withdraws it.
  assign burst_ready = port_ready[burst_addr[7]] && !halt;

  read_port #(
    .G(G),
    .AxiBits(AxiBits)
  ) u_port0 (
    .clk_i,
    .rst_ni,
    .burst_valid_i(burst_valid && !burst_addr[7] && !halt),
    .burst_ready_o(port_ready[0]),
    .burst_addr_i (burst_addr),
    .burst_len_i  (burst_len),
    .burst_word_i (burst_word),
    .burst_sel_i  (burst_sel),
    .burst_tag_i  (burst_tag),
    .axi_araddr_o (m0_axi_araddr_o),
    .axi_arlen_o  (m0_axi_arlen_o),
    .axi_arvalid_o(arvalid[0]),
    .axi_arready_i(m0_axi_arready_i),
    .axi_rdata_i  (m0_axi_rdata_i),
    .axi_rresp_i  (m0_axi_rresp_i),
    .axi_rlast_i  (m0_axi_rlast_i),
    .axi_rvalid_i (m0_axi_rvalid_i),
    .axi_rready_o (m0_axi_rready_o),
    .word_valid_o (word_valid[0]),
    .word_ready_i (word_ready[0]),
    .word_sel_o   (word_sel[0]),
    .word_addr_o  (word_addr[0]),
    .word_data_o  (word_data[0]),
    .word_tag_o   (word_tag[0]),
    .word_last_o  (word_last[0]),
    .outstanding_o(outstanding[0]),
    .error_o      (port_error[0])
  );

  read_port #(
    .G(G),
    .AxiBits(AxiBits)
  ) u_port1 (
    .clk_i,
    .rst_ni,
    .burst_valid_i(burst_valid && burst_addr[7] && !halt),
    .burst_ready_o(port_ready[1]),
    .burst_addr_i (burst_addr),
    .burst_len_i  (burst_len),
    .burst_word_i (burst_word),
    .burst_sel_i  (burst_sel),
    .burst_tag_i  (burst_tag),
    .axi_araddr_o (m1_axi_araddr_o),
    .axi_arlen_o  (m1_axi_arlen_o),
    .axi_arvalid_o(arvalid[1]),
    .axi_arready_i(m1_axi_arready_i),
    .axi_rdata_i  (m1_axi_rdata_i),
    .axi_rresp_i  (m1_axi_rresp_i),
    .axi_rlast_i  (m1_axi_rlast_i),
    .axi_rvalid_i (m1_axi_rvalid_i),
    .axi_rready_o (m1_axi_rready_o),
    .word_valid_o (word_valid[1]),
    .word_ready_i (word_ready[1]),
    .word_sel_o   (word_sel[1]),
    .word_addr_o  (word_addr[1]),
    .word_data_o  (word_data[1]),
    .word_tag_o   (word_tag[1]),
    .word_last_o  (word_last[1]),
    .outstanding_o(outstanding[1]),
    .error_o      (port_error[1])
  );

  two_way_choice u_choice (
    .clk_i,
    .rst_ni,
    .request_i(word_valid),
    .grant_i  (slice_ready),
    .choice_o (choice)
  );

  // The way from the ports to the memories is long both ways: a register slice on it.
  axi_register #(
    .Width(4 + 16 + 2 + 1 + MemBits)
  ) u_slice (
    .clk_i,
    .rst_ni,
    .in_valid_i (|word_valid),
    .in_ready_o (slice_ready),
    .in_data_i  ({word_sel[choice], word_addr[choice], word_tag[choice], word_last[choice], word_data[choice]}),
    .out_valid_o(mem_wreq_o),
    .out_ready_i(mem_wgnt_i),
    .out_data_o ({mem_wsel_o, mem_waddr_o, written_tag, written_last, mem_wdata_o})
  );

  assign written    = mem_wreq_o && mem_wgnt_i;
  assign word_ready = {slice_ready && choice, slice_ready && !choice};

  assign m0_axi_arvalid_o = arvalid[0];
  assign m0_axi_arid_o    = '0;
  assign m0_axi_arsize_o  = 3'($clog2(AxiBits / 8));
  assign m0_axi_arburst_o = 2'b01;
  assign m1_axi_arvalid_o = arvalid[1];
  assign m1_axi_arid_o    = '0;
  assign m1_axi_arsize_o  = 3'($clog2(AxiBits / 8));
  assign m1_axi_arburst_o = 2'b01;

  logic unused_inputs;
  assign unused_inputs = ^{m0_axi_rid_i, m1_axi_rid_i, il_rdata_i[31:16]};

`ifndef SYNTHESIS
  WriteIsHeld: assert property (@(posedge clk_i) disable iff (!rst_ni) mem_wreq_o && !mem_wgnt_i
    |=> mem_wreq_o && $stable(mem_wsel_o) && $stable(mem_waddr_o) && $stable(mem_wdata_o));
`endif

endmodule
