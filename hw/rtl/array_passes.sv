// The passes of an array instruction, one after another: kb, red, ky, kx of the loop nest.
//
// A pass is offered with pass_valid_o until pass_taken_i. Addresses advance by additions; the two products
// an instruction needs (oy * w and stride * w) are made once, by shifts and additions, one bit per cycle up
// to the highest one. A pass whose bit in the weight-block list is 0 costs a cycle, 64 of them two more.
//
// Throughput: one pass per cycle. Golden: hw/golden_array.py executed_passes().

module array_passes import joulegrad_pkg::*; (
  input  logic         clk_i,
  input  logic         rst_ni,
  input  logic         start_i,  // instr_i is new
  input  array_instr_t instr_i,  // kept until the last pass is taken

  output logic         bl_ren_o,
  output logic [15:0]  bl_addr_o,
  input  logic [63:0]  bl_rdata_i,

  output logic         busy_o,        // passes are left
  output logic [15:0]  row_step_o,    // stride * w
  output logic         pass_valid_o,
  input  logic         pass_taken_i,
  output logic         pass_load_o,   // needs a weight block of its own
  output logic [9:0]   pass_tap_o,
  output logic [15:0]  pass_sy_o,     // strided coordinate of the first pixel, signed
  output logic [15:0]  pass_sx_o,
  output logic [15:0]  pass_offset_o, // its word: sy * w + sx
  output logic [15:0]  pass_a_o,      // word of image 0 in A
  output logic [15:0]  pass_w_o,      // word of image 0 in W: second operand or index
  output logic [15:0]  pass_b_o,      // word of the weight block in W
  output logic [15:0]  pass_c_o       // accumulator row of image 0; output-stationary: of row 0
);

  typedef enum logic [1:0] {Idle, Setup, Run} state_e;

  state_e      state_q;
  logic [11:0] oy_magnitude_q;
  logic [3:0]  stride_left_q;
  logic [15:0] w_shifted_q, start_q, ky_start_q;
  logic        held_q;
  logic [7:0]  kb_left_q, red_left_q;  // with the present one
  logic [4:0]  ky_left_q, kx_left_q;
  logic        kx_last_q, ky_last_q, red_last_q, kb_last_q;  // they are 1
  logic [15:0] b_red_q, b_kb_q, c_red_q, c_kb_q;
  logic [63:0] word_q;  // the bit of the pass at hand is the lowest
  logic [15:0] word_addr_q;
  logic [5:0]  bit_q;
  logic        word_asked_q, word_valid_q;
  logic        skip, advance, taps_last;
  logic [15:0] oy, ox, w, ky_start, b_red, b_kb, c_red, c_kb;
  logic        unused_instr;

  assign oy = 16'(instr_i.oy);
  assign ox = 16'(instr_i.ox);
  assign w  = 16'(instr_i.w);
  assign unused_instr = ^{instr_i.opcode, instr_i.wait_, instr_i.signal_, instr_i.spare, instr_i.transpose, instr_i.scatter,
                          instr_i.select, instr_i.acc_max, instr_i.clip, instr_i.product, instr_i.n_img, instr_i.n_y, instr_i.n_x,
                          instr_i.h, instr_i.a_step_img, instr_i.b_step_img, instr_i.c_step_img, instr_i.slot,
                          instr_i.a_drop, instr_i.b_drop, instr_i.dither, instr_i.pair, instr_i.down,
                          instr_i.c_step_pair};

  assign busy_o       = state_q != Idle;
  assign pass_valid_o = state_q == Run && (!instr_i.use_blocks || (word_valid_q && word_q[0]));
  assign skip         = state_q == Run && instr_i.use_blocks && word_valid_q && !word_q[0];
  assign advance      = pass_taken_i || skip;
  assign bl_ren_o     = state_q == Run && instr_i.use_blocks && !word_valid_q && !word_asked_q;
  assign bl_addr_o    = word_addr_q;

  assign taps_last = kx_last_q && ky_last_q;

  assign ky_start = ky_start_q + w;
  assign b_red    = b_red_q + instr_i.b_step_red;
  assign b_kb     = b_kb_q + instr_i.b_step_kb;
  assign c_red    = c_red_q + instr_i.c_step_red;
  assign c_kb     = c_kb_q + instr_i.c_step_kb;

  // Where the instruction is.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
    end else begin
      unique case (state_q)
        Idle:    if (start_i) state_q <= Setup;
        Setup:   if (oy_magnitude_q == '0 && stride_left_q == '0) state_q <= Run;
        default: if (advance && taps_last && red_last_q && kb_last_q) state_q <= Idle;
      endcase
    end
  end

  // start = oy * w + ox and row_step = stride * w.
  always_ff @(posedge clk_i) begin
    if (start_i) begin
      oy_magnitude_q <= instr_i.oy < 0 ? -instr_i.oy : instr_i.oy;
      stride_left_q  <= instr_i.stride;
      w_shifted_q    <= w;
      start_q        <= ox;
      row_step_o     <= '0;
    end else if (state_q == Setup) begin
      oy_magnitude_q <= oy_magnitude_q >> 1;
      stride_left_q  <= stride_left_q >> 1;
      w_shifted_q    <= w_shifted_q << 1;
      if (oy_magnitude_q[0]) start_q <= instr_i.oy < 0 ? start_q - w_shifted_q : start_q + w_shifted_q;
      if (stride_left_q[0]) row_step_o <= row_step_o + w_shifted_q;
    end
  end

  // Counters of the nest.
  always_ff @(posedge clk_i) begin
    if (start_i) begin
      kb_left_q  <= instr_i.n_kb;
      red_left_q <= instr_i.n_red;
      ky_left_q  <= instr_i.n_ky;
      kx_left_q  <= instr_i.n_kx;
      kb_last_q  <= instr_i.n_kb == 8'd1;
      red_last_q <= instr_i.n_red == 8'd1;
      ky_last_q  <= instr_i.n_ky == 5'd1;
      kx_last_q  <= instr_i.n_kx == 5'd1;
      pass_tap_o  <= '0;
      held_q      <= 1'b0;
      pass_load_o <= !instr_i.os;
    end else if (advance) begin
      kx_left_q   <= kx_last_q ? instr_i.n_kx : kx_left_q - 5'd1;
      kx_last_q   <= kx_last_q ? instr_i.n_kx == 5'd1 : kx_left_q == 5'd2;
      pass_tap_o  <= taps_last ? '0 : pass_tap_o + 10'd1;
      held_q      <= !taps_last && (held_q || pass_taken_i);
      pass_load_o <= !instr_i.os && !(instr_i.hold_weights && !taps_last && (held_q || pass_taken_i));
      if (kx_last_q) begin
        ky_left_q <= ky_last_q ? instr_i.n_ky : ky_left_q - 5'd1;
        ky_last_q <= ky_last_q ? instr_i.n_ky == 5'd1 : ky_left_q == 5'd2;
      end
      if (taps_last) begin
        red_left_q <= red_last_q ? instr_i.n_red : red_left_q - 8'd1;
        red_last_q <= red_last_q ? instr_i.n_red == 8'd1 : red_left_q == 8'd2;
      end
      if (taps_last && red_last_q) begin
        kb_left_q <= kb_left_q - 8'd1;
        kb_last_q <= kb_left_q == 8'd2;
      end
    end
  end

  // The strided side: coordinates and offset of a tap.
  always_ff @(posedge clk_i) begin
    if (state_q == Setup || (advance && taps_last)) begin
      pass_sy_o     <= oy;
      pass_sx_o     <= ox;
      pass_offset_o <= start_q;
      ky_start_q    <= start_q;
    end else if (advance && kx_last_q) begin
      pass_sy_o     <= pass_sy_o + 16'd1;
      pass_sx_o     <= ox;
      pass_offset_o <= ky_start;
      ky_start_q    <= ky_start;
    end else if (advance) begin
      pass_sx_o     <= pass_sx_o + 16'd1;
      pass_offset_o <= pass_offset_o + 16'd1;
    end
  end

  // Words of A and of the second operand or the index.
  always_ff @(posedge clk_i) begin
    if (start_i) begin
      pass_a_o <= instr_i.a_base;
      pass_w_o <= instr_i.os ? instr_i.b_base : instr_i.idx_base;
    end else if (advance && taps_last) begin
      pass_a_o <= red_last_q ? instr_i.a_base : pass_a_o + instr_i.a_step_red;
      if (instr_i.os) pass_w_o <= red_last_q ? pass_w_o + instr_i.b_step_kb : pass_w_o;
      else pass_w_o <= red_last_q ? instr_i.idx_base : pass_w_o + instr_i.a_step_red;
    end
  end

  // The weight block.
  always_ff @(posedge clk_i) begin
    if (start_i) begin
      pass_b_o <= instr_i.b_base;
      b_red_q  <= instr_i.b_base;
      b_kb_q   <= instr_i.b_base;
    end else if (advance && taps_last) begin
      pass_b_o <= red_last_q ? b_kb : b_red;
      b_red_q  <= red_last_q ? b_kb : b_red;
      if (red_last_q) b_kb_q <= b_kb;
    end else if (advance && !instr_i.hold_weights) begin
      pass_b_o <= pass_b_o + instr_i.b_step_tap;
    end
  end

  // Accumulator rows: a tap and a reduction group have rows of their own in output-stationary passes only.
  always_ff @(posedge clk_i) begin
    if (start_i) begin
      pass_c_o <= instr_i.c_base;
      c_red_q  <= instr_i.c_base;
      c_kb_q   <= instr_i.c_base;
    end else if (advance && taps_last) begin
      if (red_last_q) begin
        pass_c_o <= c_kb;
        c_red_q  <= c_kb;
        c_kb_q   <= c_kb;
      end else if (instr_i.os) begin
        pass_c_o <= c_red;
        c_red_q  <= c_red;
      end
    end else if (advance) begin
      pass_c_o <= pass_c_o + instr_i.c_step_tap;
    end
  end

  // The weight-block list, a word ahead of its bits.
  always_ff @(posedge clk_i) begin
    if (!rst_ni || start_i) begin
      word_asked_q <= 1'b0;
      word_valid_q <= 1'b0;
    end else begin
      word_asked_q <= bl_ren_o;
      if (word_asked_q) word_valid_q <= 1'b1;
      else if (advance && bit_q == '1) word_valid_q <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (word_asked_q) word_q <= bl_rdata_i;
    else if (advance && instr_i.use_blocks) word_q <= word_q >> 1;
    if (start_i) begin
      bit_q       <= '0;
      word_addr_q <= 16'(instr_i.blocks_base);
    end else begin
      if (advance) bit_q <= bit_q + 6'd1;
      if (word_asked_q) word_addr_q <= word_addr_q + 16'd1;
    end
  end

`ifndef SYNTHESIS
  TakenWhenOfferedA : assert property (@(posedge clk_i) disable iff (!rst_ni) pass_taken_i |-> pass_valid_o);
  StartWhenIdleA : assert property (@(posedge clk_i) disable iff (!rst_ni) start_i |-> !busy_o);
`endif

endmodule
