// Cuts runs into AXI3 bursts that stay within 16 beats and within their 128-byte stripe.
//
//   beats = min(beats left, 16 - beat number of the address in its aligned group of 16)
//
// 16 beats of 8 bytes are a stripe and of 4 bytes half a stripe, so a cut at aligned groups of 16 beats never
// leaves one. Words are at their own alignment and no longer than a stripe: no word is cut. Kept is how far the run
// goes beyond its first cut: its sign tells the last burst, and each burst but the last takes 16 off it.
// Latency 1 cycle; one burst per cycle, one cycle more per run. Golden: tests/test_rtl_load_engine.py bursts().

module burst_splitter
  import joulegrad_pkg::*;
#(
  parameter  int unsigned G           = 4,
  parameter  int unsigned AxiBits     = 32,
  localparam int unsigned BeatBits    = $clog2(AxiBits / 8),
  localparam int unsigned WideShift   = $clog2(G * 8 / AxiBits),  // beats of a word of G bytes, logarithm
  localparam int unsigned NarrowShift = $clog2(64 / AxiBits),     // the same of an 8-byte word
  localparam int unsigned BeatsW      = 16 + (WideShift > NarrowShift ? WideShift : NarrowShift)
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        flush_i,

  input  logic        run_valid_i,
  output logic        run_ready_o,
  input  logic [31:0] run_addr_i,
  input  logic [15:0] run_word_i,
  input  logic [15:0] run_words_i,
  input  logic [3:0]  run_sel_i,
  input  logic [1:0]  run_tag_i,
  input  logic        run_last_i,

  output logic        burst_valid_o,
  input  logic        burst_ready_i,
  output logic [31:0] burst_addr_o,
  output logic [3:0]  burst_len_o,   // beats - 1
  output logic [15:0] burst_word_o,
  output logic [3:0]  burst_sel_o,
  output logic [1:0]  burst_tag_o,
  output logic        burst_last_o   // last burst of the instruction
);

  logic            valid_q, last_q, narrow_q, narrow_in, final_burst, taken;
  logic [31:0]     addr_q;
  logic [15:0]     word_q;
  logic [BeatsW:0] run_beats, beyond_q;  // beats of a run; those behind the next cut, less one
  logic [3:0]      sel_q, first_beat, first_in;
  logic [1:0]      tag_q;
  logic [4:0]      to_edge;

  assign narrow_in     = run_sel_i inside {MemC, MemP, MemIL, MemBL};
  assign run_beats     = narrow_in ? (BeatsW + 1)'(run_words_i) << NarrowShift : (BeatsW + 1)'(run_words_i) << WideShift;
  assign first_in      = run_addr_i[BeatBits+3:BeatBits];
  assign first_beat    = addr_q[BeatBits+3:BeatBits];
  assign to_edge       = 5'd16 - 5'(first_beat);
  assign final_burst   = beyond_q[BeatsW];
  assign run_ready_o   = !valid_q;
  assign burst_valid_o = valid_q;
  assign burst_addr_o  = addr_q;
  assign burst_len_o   = final_burst ? beyond_q[3:0] - first_beat : ~first_beat;
  assign burst_word_o  = word_q;
  assign burst_sel_o   = sel_q;
  assign burst_tag_o   = tag_q;
  assign burst_last_o  = last_q && final_burst;
  assign taken         = burst_valid_o && burst_ready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) valid_q <= 1'b0;
    else if (run_ready_o) valid_q <= run_valid_i;
    else if (taken && final_burst) valid_q <= 1'b0;
  end

  // beats + number of the first - 17 is below 0 where the run ends at the cut or before; mod 16 it is the number of its last.
  always_ff @(posedge clk_i) begin
    if (run_valid_i && run_ready_o) begin
      addr_q   <= run_addr_i;
      word_q   <= run_word_i;
      beyond_q <= run_beats + {{(BeatsW - 4){1'b1}}, first_in != '0, 4'(first_in - 4'd1)};
      sel_q    <= run_sel_i;
      tag_q    <= run_tag_i;
      last_q   <= run_last_i;
      narrow_q <= narrow_in;
    end else if (taken) begin
      addr_q[31:BeatBits+4]       <= addr_q[31:BeatBits+4] + 1'b1;
      addr_q[BeatBits+3:BeatBits] <= '0;
      word_q                      <= word_q + (narrow_q ? 16'(to_edge >> NarrowShift) : 16'(to_edge >> WideShift));
      beyond_q[BeatsW:4]          <= beyond_q[BeatsW:4] - 1'b1;
    end
  end

`ifndef SYNTHESIS
  StaysInStripe: assert property (@(posedge clk_i) disable iff (!rst_ni) burst_valid_o |->
    7'(burst_addr_o[6:0]) + 7'((32'(burst_len_o)) << BeatBits) >= burst_addr_o[6:0]);
  MovesSomething: assert property (@(posedge clk_i) disable iff (!rst_ni) run_valid_i |-> run_words_i != '0);
`endif

endmodule
