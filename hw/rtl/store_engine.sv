// Store engine: strided transfers from the on-chip memories into DDR.
//
//   DDR[base + addr + image * img_stride + j * grp_stride + k word bytes] = mem[src + k],  k < run
//
// Runs are cut into bursts of at most 16 beats within 128-byte stripes; stripe address[7] chooses the master. At most
// 8 bursts are outstanding on each. Up to 4 instructions are under way; done_o comes in order, when the last write
// response of the instruction is in. Peak: one word per cycle, or 2 AxiBits per cycle.
// Golden: hw/golden_memory.py execute_store().

module store_engine
  import joulegrad_pkg::*;
#(
  parameter  int unsigned G            = 4,
  parameter  int unsigned AxiBits      = 32,
  parameter  int unsigned VectorWords  = 256,
  parameter  int unsigned MaskWords    = 64,
  parameter  int unsigned TableWords   = 1024,
  parameter  int unsigned ListWords    = 512,
  localparam int unsigned MemBits      = G * 8 > 64 ? G * 8 : 64
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic [31:0]        base_i,         // DDR address of offset 0
  input  logic [15:0]        image_count_i,
  input  logic               stop_i,         // no new bursts; those under way end

  input  logic               start_valid_i,
  output logic               start_ready_o,
  input  store_instr_t       instr_i,
  output logic               done_o,
  output logic               idle_o,
  output logic [3:0]         error_o,        // an error code for one cycle
  output logic               wait_o,         // write data to send and no port takes any

  output logic               il_ren_o,
  output logic [15:0]        il_addr_o,
  input  logic [31:0]        il_rdata_i,

  output logic               mem_rreq_o,
  input  logic               mem_rgnt_i,
  output logic [3:0]         mem_rsel_o,     // number in MEMORIES of hw/isa.py
  output logic [15:0]        mem_raddr_o,
  input  logic [MemBits-1:0] mem_rdata_i,    // one cycle after the grant; words of 8 bytes in bits 63:0

  output logic [5:0]         m0_axi_awid_o,
  output logic [31:0]        m0_axi_awaddr_o,
  output logic [3:0]         m0_axi_awlen_o,
  output logic [2:0]         m0_axi_awsize_o,
  output logic [1:0]         m0_axi_awburst_o,
  output logic               m0_axi_awvalid_o,
  input  logic               m0_axi_awready_i,
  output logic [5:0]         m0_axi_wid_o,
  output logic [AxiBits-1:0] m0_axi_wdata_o,
  output logic [AxiBits/8-1:0] m0_axi_wstrb_o,
  output logic               m0_axi_wlast_o,
  output logic               m0_axi_wvalid_o,
  input  logic               m0_axi_wready_i,
  input  logic [5:0]         m0_axi_bid_i,
  input  logic [1:0]         m0_axi_bresp_i,
  input  logic               m0_axi_bvalid_i,
  output logic               m0_axi_bready_o,

  output logic [5:0]         m1_axi_awid_o,
  output logic [31:0]        m1_axi_awaddr_o,
  output logic [3:0]         m1_axi_awlen_o,
  output logic [2:0]         m1_axi_awsize_o,
  output logic [1:0]         m1_axi_awburst_o,
  output logic               m1_axi_awvalid_o,
  input  logic               m1_axi_awready_i,
  output logic [5:0]         m1_axi_wid_o,
  output logic [AxiBits-1:0] m1_axi_wdata_o,
  output logic [AxiBits/8-1:0] m1_axi_wstrb_o,
  output logic               m1_axi_wlast_o,
  output logic               m1_axi_wvalid_o,
  input  logic               m1_axi_wready_i,
  input  logic [5:0]         m1_axi_bid_i,
  input  logic [1:0]         m1_axi_bresp_i,
  input  logic               m1_axi_bvalid_i,
  output logic               m1_axi_bready_o
);

  logic        halted_q, halt, start, addresses_ready;
  logic [1:0]  new_tag;
  logic        full, empty, bad, order_done;
  logic [3:0]  active;

  logic        run_valid, run_ready, run_last;
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

  logic [1:0]       port_ready, read_valid, read_grant, port_error, port_busy, wvalid, wready, retire, read_last;
  logic [1:0][3:0]  read_sel;
  logic [1:0][15:0] read_addr;
  logic [1:0][1:0]  retire_tag;
  logic             choice, slice_ready;

  // A word that is read: of which port, the last of its burst, narrow. In the cycle behind the grant it comes, in the next one it stands.
  logic               granted, granted_port, granted_last;
  logic               comes_q, comes_port_q, comes_last_q, comes_narrow_q;
  logic               arrives_q, arrives_port_q, arrives_last_q, arrives_narrow_q;
  logic [MemBits-1:0] data_q;

  // An error of its own or elsewhere stops the engine until the next reset.
  assign error_o = halted_q ? ErrorNone : |port_error ? ErrorWriteError : bad ? ErrorBadAddress : ErrorNone;
  assign halt    = halted_q || stop_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) halted_q <= 1'b0;
    else if (stop_i || error_o != ErrorNone) halted_q <= 1'b1;
  end

  assign start_ready_o = addresses_ready && !full && !halt;
  assign start         = start_valid_i && start_ready_o;
  assign done_o        = order_done && !halt;
  assign idle_o        = addresses_ready && !burst_valid && port_busy == '0 && (active == '0 || halted_q);
  assign wready        = {m1_axi_wready_i, m0_axi_wready_i};
  assign wait_o        = wvalid != '0 && (wvalid & wready) == '0;

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
    .retire_i    (|retire),
    .retire_tag_i(retire[0] ? retire_tag[0] : retire_tag[1]),
    .done_o      (order_done),
    .active_o    (active)
  );

  transfer_addresses #(
    .G(G),
    .VectorWords(VectorWords),
    .MaskWords(MaskWords),
    .TableWords(TableWords),
    .ListWords(ListWords)
  ) u_addresses (
    .clk_i,
    .rst_ni,
    .flush_i      (halt),
    .base_i,
    .image_count_i,
    .start_valid_i(start),
    .start_ready_o(addresses_ready),
    .instr_i      (load_instr_t'(instr_i)),
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

  burst_splitter #(
    .G(G),
    .AxiBits(AxiBits)
  ) u_splitter (
    .clk_i,
    .rst_ni,
    .flush_i      (halt),
    .run_valid_i  (run_valid),
    .run_ready_o  (run_ready),
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

  write_port #(
    .G(G),
    .AxiBits(AxiBits)
  ) u_port0 (
    .clk_i,
    .rst_ni,
    .burst_valid_i (burst_valid && !burst_addr[7] && !halt),
    .burst_ready_o (port_ready[0]),
    .burst_addr_i  (burst_addr),
    .burst_len_i   (burst_len),
    .burst_word_i  (burst_word),
    .burst_sel_i   (burst_sel),
    .burst_tag_i   (burst_tag),
    .read_valid_o  (read_valid[0]),
    .read_grant_i  (read_grant[0]),
    .read_sel_o    (read_sel[0]),
    .read_addr_o   (read_addr[0]),
    .read_last_o   (read_last[0]),
    .arrives_i     (arrives_q && !arrives_port_q),
    .arrives_last_i(arrives_last_q),
    .narrow_i      (arrives_narrow_q),
    .read_data_i   (data_q),
    .axi_awaddr_o  (m0_axi_awaddr_o),
    .axi_awlen_o   (m0_axi_awlen_o),
    .axi_awvalid_o (m0_axi_awvalid_o),
    .axi_awready_i (m0_axi_awready_i),
    .axi_wdata_o   (m0_axi_wdata_o),
    .axi_wlast_o   (m0_axi_wlast_o),
    .axi_wvalid_o  (wvalid[0]),
    .axi_wready_i  (wready[0]),
    .axi_bresp_i   (m0_axi_bresp_i),
    .axi_bvalid_i  (m0_axi_bvalid_i),
    .axi_bready_o  (m0_axi_bready_o),
    .retire_valid_o(retire[0]),
    .retire_ready_i(1'b1),
    .retire_tag_o  (retire_tag[0]),
    .error_o       (port_error[0]),
    .busy_o        (port_busy[0])
  );

  write_port #(
    .G(G),
    .AxiBits(AxiBits)
  ) u_port1 (
    .clk_i,
    .rst_ni,
    .burst_valid_i (burst_valid && burst_addr[7] && !halt),
    .burst_ready_o (port_ready[1]),
    .burst_addr_i  (burst_addr),
    .burst_len_i   (burst_len),
    .burst_word_i  (burst_word),
    .burst_sel_i   (burst_sel),
    .burst_tag_i   (burst_tag),
    .read_valid_o  (read_valid[1]),
    .read_grant_i  (read_grant[1]),
    .read_sel_o    (read_sel[1]),
    .read_addr_o   (read_addr[1]),
    .read_last_o   (read_last[1]),
    .arrives_i     (arrives_q && arrives_port_q),
    .arrives_last_i(arrives_last_q),
    .narrow_i      (arrives_narrow_q),
    .read_data_i   (data_q),
    .axi_awaddr_o  (m1_axi_awaddr_o),
    .axi_awlen_o   (m1_axi_awlen_o),
    .axi_awvalid_o (m1_axi_awvalid_o),
    .axi_awready_i (m1_axi_awready_i),
    .axi_wdata_o   (m1_axi_wdata_o),
    .axi_wlast_o   (m1_axi_wlast_o),
    .axi_wvalid_o  (wvalid[1]),
    .axi_wready_i  (wready[1]),
    .axi_bresp_i   (m1_axi_bresp_i),
    .axi_bvalid_i  (m1_axi_bvalid_i),
    .axi_bready_o  (m1_axi_bready_o),
    .retire_valid_o(retire[1]),
    .retire_ready_i(!retire[0]),
    .retire_tag_o  (retire_tag[1]),
    .error_o       (port_error[1]),
    .busy_o        (port_busy[1])
  );

  two_way_choice u_choice (
    .clk_i,
    .rst_ni,
    .request_i(read_valid),
    .grant_i  (slice_ready),
    .choice_o (choice)
  );

  // The way from the ports to the memories and back is long: a register slice on it, and a register behind it.
  axi_register #(
    .Width(4 + 16 + 2)
  ) u_slice (
    .clk_i,
    .rst_ni,
    .in_valid_i (|read_valid),
    .in_ready_o (slice_ready),
    .in_data_i  ({read_sel[choice], read_addr[choice], choice, read_last[choice]}),
    .out_valid_o(mem_rreq_o),
    .out_ready_i(mem_rgnt_i),
    .out_data_o ({mem_rsel_o, mem_raddr_o, granted_port, granted_last})
  );

  assign read_grant = {slice_ready && choice, slice_ready && !choice};
  assign granted    = mem_rreq_o && mem_rgnt_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      comes_q   <= 1'b0;
      arrives_q <= 1'b0;
    end else begin
      comes_q   <= granted;
      arrives_q <= comes_q;
    end
  end

  always_ff @(posedge clk_i) begin
    if (granted) begin
      comes_port_q   <= granted_port;
      comes_last_q   <= granted_last;
      comes_narrow_q <= mem_rsel_o == MemC;
    end
    if (comes_q) begin
      arrives_port_q   <= comes_port_q;
      arrives_last_q   <= comes_last_q;
      arrives_narrow_q <= comes_narrow_q;
      data_q           <= mem_rdata_i;
    end
  end

  assign m0_axi_awid_o    = '0;
  assign m0_axi_awsize_o  = 3'($clog2(AxiBits / 8));
  assign m0_axi_awburst_o = 2'b01;
  assign m0_axi_wid_o     = '0;
  assign m0_axi_wstrb_o   = '1;
  assign m0_axi_wvalid_o  = wvalid[0];
  assign m1_axi_awid_o    = '0;
  assign m1_axi_awsize_o  = 3'($clog2(AxiBits / 8));
  assign m1_axi_awburst_o = 2'b01;
  assign m1_axi_wid_o     = '0;
  assign m1_axi_wstrb_o   = '1;
  assign m1_axi_wvalid_o  = wvalid[1];

  logic unused_inputs;
  assign unused_inputs = ^{m0_axi_bid_i, m1_axi_bid_i, il_rdata_i[31:16], run_end};

`ifndef SYNTHESIS
  ReadIsHeld: assert property (@(posedge clk_i) disable iff (!rst_ni) mem_rreq_o && !mem_rgnt_i
    |=> mem_rreq_o && $stable(mem_rsel_o) && $stable(mem_raddr_o));
`endif

endmodule
