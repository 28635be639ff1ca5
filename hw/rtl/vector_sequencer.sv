// Order of a vector instruction: fetch coefficients, issue vectors, drain, flush sums and maximum.
//
//   for i in range(n), p in range(img_px), word in range(4 if wide else 1): issue
//
// Operands of one word are read with the last word of a vector. `stage_o[k]` follows a vector k cycles
// behind its last issue, `image_last_o[k]` marks the last vector of an image.
// An instruction of N vectors takes N (4 N when wide) + 15 cycles from one start to the next, with a
// granted table port; per_channel adds 2 G - 2, sums 2 G + 4 (2 G + 6 when added), the maximum about G / 4 + 6.
// Golden: hw/golden_vector.py execute_vector().

module vector_sequencer
  import joulegrad_pkg::*;
(
  input  logic          clk_i,
  input  logic          rst_ni,

  input  logic          start_valid_i,
  output logic          start_ready_o,
  input  vector_instr_t instr_i,
  input  logic [15:0]   image_count_i,
  output logic          done_o,
  output logic          start_o,         // an instruction is taken
  output vector_instr_t instr_o,         // the one under way

  input  logic          fetched_i,       // coefficients: the last word is granted
  input  logic          position_ready_i,
  output logic          drain_o,         // the last vectors are under way
  output logic          flush_o,
  input  logic          flushed_i,
  input  logic          writing_i,       // more words of a wide result follow this cycle's

  output logic          u_ren_o,
  output logic [15:0]   u_addr_o,        // also of accumulator rows
  output logic          acc_ren_o,
  output logic          v_ren_o,
  output logic [15:0]   v_addr_o,

  output logic [3:0]    u_capture_o,     // in stage 1: quarters of the lanes that take their operand
  output logic [3:0]    v_capture_o,
  output logic [10:1]   stage_o,
  output logic [10:1]   image_last_o
);

  typedef enum logic [2:0] {Idle, Fetch, Run, Drain, Flush} state_e;

  state_e             state_q;
  vector_instr_t      instr_q;
  logic [15:0]        count_q;         // in the cycle of the start
  logic [11:0]        images_q;
  logic [15:0]        px_q;
  logic [1:0]         word_q, word_issued_q;
  logic [11:1]        stage_q;         // 11 and the cycle behind it: sums and maximum take the last vector
  logic               empty_q, written_q;  // no vector in a stage, or in one before the 10th
  logic               issue, last_word, image_last, quiet, flushes, start_q;
  logic               wide_q, u_wide_q, u_narrow_q, u_acc_q, v_wide_q, v_narrow_q;  // of instr_q, a cycle later

  assign stage_o       = stage_q[10:1];
  assign start_ready_o = state_q == Idle;
  assign start_o       = start_valid_i && start_ready_o;
  assign instr_o       = instr_q;

  assign issue      = state_q == Run;
  assign last_word  = issue && (!wide_q || word_q == 2'd3);
  assign image_last = px_q == 16'd1;
  assign flushes    = instr_q.sums || instr_q.max;
  assign quiet      = flushes ? empty_q : written_q && !writing_i;
  assign drain_o    = state_q == Drain;
  assign flush_o    = state_q == Drain && flushes && empty_q;

  assign u_ren_o   = u_wide_q ? issue : u_narrow_q && last_word;
  assign acc_ren_o = u_acc_q && last_word;
  assign v_ren_o   = v_wide_q ? issue : v_narrow_q && last_word;

  always_ff @(posedge clk_i) begin
    wide_q     <= instr_q.u_src == 3'd2 || instr_q.v_src == 2'd2 || instr_q.dst_wide;
    u_wide_q   <= instr_q.u_src == 3'd2;
    u_narrow_q <= instr_q.u_src == 3'd1;
    u_acc_q    <= instr_q.u_src inside {3'd3, 3'd4, 3'd5};
    v_wide_q   <= instr_q.v_src == 2'd2;
    v_narrow_q <= instr_q.v_src == 2'd1;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
      done_o  <= 1'b0;
      stage_q   <= '0;
      empty_q   <= 1'b1;
      written_q <= 1'b1;
      start_q <= 1'b0;
    end else begin
      start_q <= start_o;
      stage_q   <= {stage_q[10:1], last_word};
      empty_q   <= stage_q[11:1] == '0 && !last_word;
      written_q <= stage_q[8:1] == '0 && !last_word;
      done_o  <= (state_q == Drain && quiet && !flushes) || (state_q == Flush && flushed_i);
      unique case (state_q)
        Idle:    if (start_valid_i) state_q <= Fetch;
        Fetch:   if (fetched_i && (position_ready_i || !instr_q.stochastic)) begin
                   state_q <= images_q == '0 ? Drain : Run;
                 end
        Run:     if (last_word && image_last && images_q == 12'd1) state_q <= Drain;
        Drain:   if (quiet) state_q <= flushes ? Flush : Idle;
        Flush:   if (flushed_i) state_q <= Idle;
        default: state_q <= Idle;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_o) begin
      instr_q  <= instr_i;
      count_q  <= image_count_i;
      px_q     <= instr_i.img_px;
      word_q   <= '0;
      u_addr_o <= instr_i.u_base;
      v_addr_o <= instr_i.v_base;
    end else if (issue) begin
      if (wide_q) word_q <= word_q + 1'b1;
      if (last_word) px_q <= image_last ? instr_q.img_px : px_q - 1'b1;
      if (u_ren_o || acc_ren_o) u_addr_o <= u_addr_o + 1'b1;
      if (v_ren_o) v_addr_o <= v_addr_o + 1'b1;
    end
    if (start_q) images_q <= images_of(instr_q.clip, instr_q.n_img, instr_q.slot, count_q);
    else if (last_word && image_last) images_q <= images_q - 1'b1;
    image_last_o <= {image_last_o[9:1], image_last};
    if (issue) word_issued_q <= word_q;
  end

  // What stage 1 takes: the quarter of a 32-bit operand's word, or all lanes.
  logic issued_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) issued_q <= 1'b0;
    else issued_q <= issue;
  end

  always_comb begin
    u_capture_o = {4{stage_o[1]}};
    v_capture_o = {4{stage_o[1]}};
    if (u_wide_q) u_capture_o = issued_q ? 4'b0001 << word_issued_q : '0;
    if (v_wide_q) v_capture_o = issued_q ? 4'b0001 << word_issued_q : '0;
  end

endmodule
