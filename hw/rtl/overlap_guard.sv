// Keeps a run back while an earlier instruction under way writes words that it overlaps.
//
//   free = no active instruction t != own with the same memory and first(t) < end(run), word(run) < end(t)
//
// The words of an instruction are one range, known once all its runs have been taken; that is before the next
// instruction starts, so which others have its memory is known from then on. Latency 0.

module overlap_guard (
  input  logic        clk_i,

  input  logic        start_i,        // an instruction starts
  input  logic [1:0]  start_tag_i,
  input  logic [3:0]  start_sel_i,
  input  logic [15:0] start_word_i,
  input  logic [3:0]  active_i,       // by tag

  input  logic        run_taken_i,
  input  logic [1:0]  run_tag_i,
  input  logic [15:0] run_word_i,
  input  logic [16:0] run_end_i,
  output logic        run_free_o
);

  logic [3:0][3:0]  sel_q;
  logic [3:0]       same_q;  // others of the memory of the instruction whose runs come
  logic [3:0][15:0] first_q;
  logic [3:0][16:0] end_q;

  always_comb begin
    run_free_o = 1'b1;
    for (int unsigned t = 0; t < 4; t++) begin
      if (active_i[t] && same_q[t] && 17'(first_q[t]) < run_end_i && 17'(run_word_i) < end_q[t]) run_free_o = 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      sel_q[start_tag_i]   <= start_sel_i;
      first_q[start_tag_i] <= start_word_i;
      end_q[start_tag_i]   <= 17'(start_word_i);
      for (int unsigned t = 0; t < 4; t++) same_q[t] <= start_tag_i != 2'(t) && sel_q[t] == start_sel_i;
    end
    if (run_taken_i) end_q[run_tag_i] <= run_end_i;
  end

endmodule
