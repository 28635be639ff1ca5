// One AXI3 read master of the load engine: bursts in, words out.
//
// A burst goes to the address channel and, with what its data are for, into a queue of at most 8. Read data come
// back in the order of the addresses (one id) and leave as words. One burst and one beat per cycle.

module read_port
  import joulegrad_pkg::*;
#(
  parameter  int unsigned G           = 4,
  parameter  int unsigned AxiBits     = 32,
  localparam int unsigned MemBits     = G * 8 > 64 ? G * 8 : 64,
  localparam int unsigned Outstanding = 8
) (
  input  logic               clk_i,
  input  logic               rst_ni,

  input  logic               burst_valid_i,
  output logic               burst_ready_o,
  input  logic [31:0]        burst_addr_i,
  input  logic [3:0]         burst_len_i,
  input  logic [15:0]        burst_word_i,
  input  logic [3:0]         burst_sel_i,
  input  logic [1:0]         burst_tag_i,

  output logic [31:0]        axi_araddr_o,
  output logic [3:0]         axi_arlen_o,
  output logic               axi_arvalid_o,
  input  logic               axi_arready_i,
  input  logic [AxiBits-1:0] axi_rdata_i,
  input  logic [1:0]         axi_rresp_i,
  input  logic               axi_rlast_i,
  input  logic               axi_rvalid_i,
  output logic               axi_rready_o,

  output logic               word_valid_o,
  input  logic               word_ready_i,
  output logic [3:0]         word_sel_o,
  output logic [15:0]        word_addr_o,
  output logic [MemBits-1:0] word_data_o,
  output logic [1:0]         word_tag_o,
  output logic               word_last_o,

  output logic               outstanding_o,  // a burst's data are not all here
  output logic               error_o         // a beat comes with an error response, from the cycle in which it is offered
);

  localparam int unsigned EntryW = 4 + 16 + 2;

  logic        queue_ready, beat_ready, push;
  logic [3:0]  sel;
  logic [15:0] first_word;
  logic [1:0]  tag;

  assign burst_ready_o = queue_ready && (!axi_arvalid_o || axi_arready_i);
  assign push          = burst_valid_i && burst_ready_o;
  assign axi_rready_o  = outstanding_o && beat_ready;
  assign error_o       = axi_rvalid_i && outstanding_o && axi_rresp_i != 2'b00;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) axi_arvalid_o <= 1'b0;
    else if (push) axi_arvalid_o <= 1'b1;
    else if (axi_arready_i) axi_arvalid_o <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (push) begin
      axi_araddr_o <= burst_addr_i;
      axi_arlen_o  <= burst_len_i;
    end
  end

  fifo #(
    .Width(EntryW),
    .Depth(Outstanding)
  ) u_bursts (
    .clk_i,
    .rst_ni,
    .in_valid_i (push),
    .in_ready_o (queue_ready),
    .in_data_i  ({burst_sel_i, burst_word_i, burst_tag_i}),
    .out_valid_o(outstanding_o),
    .out_ready_i(axi_rvalid_i && axi_rready_o && axi_rlast_i),
    .out_data_o ({sel, first_word, tag})
  );

  word_packer #(
    .G(G),
    .AxiBits(AxiBits)
  ) u_packer (
    .clk_i,
    .rst_ni,
    .sel_i       (sel),
    .first_word_i(first_word),
    .tag_i       (tag),
    .beat_valid_i(axi_rvalid_i && outstanding_o),
    .beat_ready_o(beat_ready),
    .beat_data_i (axi_rdata_i),
    .beat_last_i (axi_rlast_i),
    .word_valid_o,
    .word_ready_i,
    .word_sel_o,
    .word_addr_o,
    .word_data_o,
    .word_tag_o,
    .word_last_o
  );

`ifndef SYNTHESIS
  AddressIsHeld: assert property (@(posedge clk_i) disable iff (!rst_ni)
    axi_arvalid_o && !axi_arready_i |=> axi_arvalid_o && $stable(axi_araddr_o) && $stable(axi_arlen_o));
`endif

endmodule
