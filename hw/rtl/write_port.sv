// One AXI3 write master of the store engine: bursts in, their words read from the memory and sent.
//
// A burst goes to the address channel and into two queues of at most 8: one says which words to read and send, one
// which instruction its response belongs to. Words wait in a queue of 8, so that the data channel runs at one beat
// per cycle while the memory is shared with the other port. Responses come in order (one id).

module write_port
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

  // Memory read, held until the grant; its word arrives later, in order.
  output logic               read_valid_o,
  input  logic               read_grant_i,
  output logic [3:0]         read_sel_o,
  output logic [15:0]        read_addr_o,
  output logic               read_last_o,     // of its burst
  input  logic               arrives_i,
  input  logic               arrives_last_i,
  input  logic               narrow_i,
  input  logic [MemBits-1:0] read_data_i,

  output logic [31:0]        axi_awaddr_o,
  output logic [3:0]         axi_awlen_o,
  output logic               axi_awvalid_o,
  input  logic               axi_awready_i,
  output logic [AxiBits-1:0] axi_wdata_o,
  output logic               axi_wlast_o,
  output logic               axi_wvalid_o,
  input  logic               axi_wready_i,
  input  logic [1:0]         axi_bresp_i,
  input  logic               axi_bvalid_i,
  output logic               axi_bready_o,

  output logic               retire_valid_o,  // a burst's response is in
  input  logic               retire_ready_i,
  output logic [1:0]         retire_tag_o,
  output logic               error_o,         // it is an error response (pulse)
  output logic               busy_o
);

  localparam int unsigned WideBeats   = G * 8 / AxiBits;
  localparam int unsigned NarrowBeats = 64 / AxiBits;
  localparam int unsigned WideShift   = $clog2(WideBeats);
  localparam int unsigned NarrowShift = $clog2(NarrowBeats);
  localparam int unsigned Lanes       = MemBits / AxiBits;
  localparam int unsigned LaneW       = Lanes > 1 ? $clog2(Lanes) : 1;
  localparam int unsigned EntryW      = 4 + 16 + 4;
  localparam int unsigned WordDepth   = 8;

  logic               push, reads_ready, tags_ready, tags_valid, burst_here;
  logic [15:0]        first_word;
  logic [3:0]         index_q, last_index, last_index_in;
  logic               last_word, granted;

  // Words between grant and data channel: counted from the grant, so that there is room for every word that comes; at most 8.
  logic [3:0]         words_q;
  logic               word_valid, word_last, word_narrow, word_sent, word_queue_ready;
  logic [MemBits-1:0] word_data;
  logic [LaneW-1:0]   lane_q;
  logic               last_lane;

  assign burst_ready_o = reads_ready && tags_ready && (!axi_awvalid_o || axi_awready_i);
  assign push          = burst_valid_i && burst_ready_o;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) axi_awvalid_o <= 1'b0;
    else if (push) axi_awvalid_o <= 1'b1;
    else if (axi_awready_i) axi_awvalid_o <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (push) begin
      axi_awaddr_o <= burst_addr_i;
      axi_awlen_o  <= burst_len_i;
    end
  end

  // A burst has whole words.
  assign last_index_in = burst_sel_i == MemC ? burst_len_i >> NarrowShift : burst_len_i >> WideShift;

  fifo #(
    .Width(EntryW),
    .Depth(Outstanding)
  ) u_reads (
    .clk_i,
    .rst_ni,
    .in_valid_i (push),
    .in_ready_o (reads_ready),
    .in_data_i  ({burst_sel_i, burst_word_i, last_index_in}),
    .out_valid_o(burst_here),
    .out_ready_i(granted && last_word),
    .out_data_o ({read_sel_o, first_word, last_index})
  );

  assign last_word    = index_q == last_index;
  assign read_valid_o = burst_here && !words_q[3];
  assign read_addr_o  = first_word + 16'(index_q);
  assign read_last_o  = last_word;
  assign granted      = read_valid_o && read_grant_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      index_q <= '0;
      words_q <= '0;
    end else begin
      if (granted) index_q <= last_word ? '0 : index_q + 1'b1;
      if (granted != word_sent) words_q <= granted ? words_q + 1'b1 : words_q - 1'b1;
    end
  end

  fifo #(
    .Width(MemBits + 2),
    .Depth(WordDepth)
  ) u_words (
    .clk_i,
    .rst_ni,
    .in_valid_i (arrives_i),
    .in_ready_o (word_queue_ready),
    .in_data_i  ({arrives_last_i, narrow_i, read_data_i}),
    .out_valid_o(word_valid),
    .out_ready_i(word_sent),
    .out_data_o ({word_last, word_narrow, word_data})
  );

  assign last_lane    = lane_q == (word_narrow ? LaneW'(NarrowBeats - 1) : LaneW'(WideBeats - 1));
  assign axi_wvalid_o = word_valid;
  assign axi_wdata_o  = word_data[32'(lane_q) * AxiBits +: AxiBits];
  assign axi_wlast_o  = word_last && last_lane;
  assign word_sent    = axi_wvalid_o && axi_wready_i && last_lane;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) lane_q <= '0;
    else if (axi_wvalid_o && axi_wready_i) lane_q <= last_lane ? '0 : lane_q + 1'b1;
  end

  fifo #(
    .Width(2),
    .Depth(Outstanding)
  ) u_tags (
    .clk_i,
    .rst_ni,
    .in_valid_i (push),
    .in_ready_o (tags_ready),
    .in_data_i  (burst_tag_i),
    .out_valid_o(tags_valid),
    .out_ready_i(retire_valid_o && retire_ready_i),
    .out_data_o (retire_tag_o)
  );

  assign retire_valid_o = axi_bvalid_i && tags_valid;
  assign axi_bready_o   = tags_valid && retire_ready_i;
  assign error_o        = axi_bvalid_i && axi_bready_o && axi_bresp_i != 2'b00;
  assign busy_o         = tags_valid || axi_awvalid_o;

`ifndef SYNTHESIS
  AddressIsHeld: assert property (@(posedge clk_i) disable iff (!rst_ni)
    axi_awvalid_o && !axi_awready_i |=> axi_awvalid_o && $stable(axi_awaddr_o) && $stable(axi_awlen_o));
  DataIsHeld: assert property (@(posedge clk_i) disable iff (!rst_ni)
    axi_wvalid_o && !axi_wready_i |=> axi_wvalid_o && $stable(axi_wdata_o) && $stable(axi_wlast_o));
  RoomForEveryWord: assert property (@(posedge clk_i) disable iff (!rst_ni) arrives_i |-> word_queue_ready);
`endif

endmodule
