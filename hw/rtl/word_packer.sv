// Puts the beats of a burst together to words of G or 8 bytes and numbers them.
//
//   word j of the burst = beats j b .. j b + b - 1, the first one lowest;  b = word bits / AxiBits
//
// Latency 1 cycle from the last beat of a word; one beat per cycle as long as every word is taken before the next
// one is complete. Golden: hw/golden_memory.py execute_load().

module word_packer
  import joulegrad_pkg::*;
#(
  parameter  int unsigned G       = 4,
  parameter  int unsigned AxiBits = 32,
  localparam int unsigned MemBits = G * 8 > 64 ? G * 8 : 64,
  localparam int unsigned Lanes   = MemBits / AxiBits,
  localparam int unsigned LaneW   = Lanes > 1 ? $clog2(Lanes) : 1
) (
  input  logic               clk_i,
  input  logic               rst_ni,

  // The burst that the beats belong to; held while they come.
  input  logic [3:0]         sel_i,
  input  logic [15:0]        first_word_i,
  input  logic [1:0]         tag_i,

  input  logic               beat_valid_i,
  output logic               beat_ready_o,
  input  logic [AxiBits-1:0] beat_data_i,
  input  logic               beat_last_i,

  output logic               word_valid_o,
  input  logic               word_ready_i,
  output logic [3:0]         word_sel_o,
  output logic [15:0]        word_addr_o,
  output logic [MemBits-1:0] word_data_o,
  output logic [1:0]         word_tag_o,
  output logic               word_last_o   // last word of its burst
);

  localparam logic [LaneW-1:0] WideLast   = LaneW'(G * 8 / AxiBits - 1);
  localparam logic [LaneW-1:0] NarrowLast = LaneW'(64 / AxiBits - 1);

  logic [LaneW-1:0]   lane_q;
  logic [3:0]         index_q;
  logic [MemBits-1:0] held_q, assembled;
  logic               completes, beat_taken;

  assign completes    = lane_q == (sel_i inside {MemC, MemP, MemIL, MemBL} ? NarrowLast : WideLast);
  assign beat_ready_o = !completes || !word_valid_o || word_ready_i;
  assign beat_taken   = beat_valid_i && beat_ready_o;

  always_comb begin
    assembled = held_q;
    assembled[32'(lane_q) * AxiBits +: AxiBits] = beat_data_i;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      lane_q       <= '0;
      index_q      <= '0;
      word_valid_o <= 1'b0;
    end else begin
      if (beat_taken) begin
        lane_q <= completes ? '0 : lane_q + 1'b1;
        if (completes) index_q <= beat_last_i ? '0 : index_q + 1'b1;
      end
      if (beat_taken && completes) word_valid_o <= 1'b1;
      else if (word_ready_i) word_valid_o <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (beat_taken && !completes) held_q <= assembled;
    if (beat_taken && completes) begin
      word_data_o <= assembled;
      word_addr_o <= first_word_i + 16'(index_q);
      word_sel_o  <= sel_i;
      word_tag_o  <= tag_i;
      word_last_o <= beat_last_i;
    end
  end

`ifndef SYNTHESIS
  BurstEndsWithWord: assert property (@(posedge clk_i) disable iff (!rst_ni) beat_taken && beat_last_i |-> completes);
  WordIsHeld: assert property (@(posedge clk_i) disable iff (!rst_ni)
    word_valid_o && !word_ready_i |=> word_valid_o && $stable(word_data_o) && $stable(word_addr_o));
`endif

endmodule
