// The slots of the array's passes: i, y, x of the loop nest, one per cycle; i, x, y with down. A line is a row, or a column.
//
//   sy = pass_sy + y * stride, sx = pass_sx + x * stride;  inside: 0 <= sy < h, 0 <= sx < w
//
// Plain and strided offset and the accumulator row advance by additions; counters count down to 1, which flags know. The
// next pass follows without a gap when it is ready; an output-stationary one G cycles behind the last slot, while rows drain.
// A slot waits while one of the three cycles before accumulated into the same row, which is then still on its way. For zero
// images a pass is one void slot, which moves its weight block and its drain on and nothing else.
//
// With pair a line has a slot more, its first, which only reads operand A: the others take what they read and what the slot
// before did, the operands of two taps, and the second operand of the pixel before.
//
// Latency 1 cycle from pass_taken_o to slot_o. Golden: hw/golden_array.py.

module array_sequencer import joulegrad_pkg::*; #(
  parameter  int unsigned G    = 16,  // side of the array
  localparam int unsigned GapW = $clog2(G) + 1
) (
  input  logic         clk_i,
  input  logic         rst_ni,
  input  array_instr_t instr_i,
  input  logic [11:0]  images_i,     // images to run for
  input  logic [15:0]  row_step_i,   // stride * w

  input  logic         pass_ready_i,
  output logic         pass_taken_o,
  input  logic         pass_load_i,
  input  logic [9:0]   pass_tap_i,
  input  logic [15:0]  pass_sy_i,
  input  logic [15:0]  pass_sx_i,
  input  logic [15:0]  pass_offset_i,
  input  logic [15:0]  pass_a_i,
  input  logic [15:0]  pass_w_i,
  input  logic [15:0]  pass_c_i,

  output logic         busy_o,
  output logic         swap_wait_o,  // a loaded block has not been sent into the array yet
  output logic         w_claim_o,    // slots may read W in this cycle

  output logic         slot_o,       // a slot, void ones not counted
  output logic         inside_o,     // it is inside
  output logic         a_ren_o,
  output logic [15:0]  a_addr_o,
  output logic         w_ren_o,
  output logic [15:0]  w_addr_o,
  output logic         mul_o,        // the array multiplies
  output logic         acc_o,        // a sum is accumulated
  output logic         swap_o,       // the block behind the working one takes its place
  output logic         last_o,       // rows drain behind this slot
  output logic [9:0]   tap_o,
  output logic [DitherBits-1:0] dither_o,  // index of the pixel's dither
  output logic [15:0]  c_addr_o
);

  logic               active_q, swap_q;
  logic [GapW-1:0]    gap_q;
  logic               gap_on_q;      // it is not 0
  logic [10:0]        px_left_q, px_count_q;      // pixels: with the present one; in a line
  logic [9:0]         line_left_q, line_count_q;  // lines: with the present one; in an image
  logic               ahead_q;       // the slot only reads operand A
  logic               before_q;      // the slot before was inside
  logic [11:0]        i_left_q;
  logic               empty_q, px_last_q, lines_last_q, i_last_q;
  logic [9:0]         tap_q;
  logic signed [15:0] sy_q, sx_q, sy_start_q, sx_start_q;
  logic [15:0]        plain_q, plain_line_q, offset_q, line_offset_q, start_q;
  logic [15:0]        plain_px_q, px_step_q, line_step_q;  // words from a pixel to the next: plain, strided; from a line to the next
  logic [DitherBits-1:0] dither_px_q, dither_line_q;
  logic [15:0]        a_q, w_q;
  logic [15:0]        c_q, c_row_q, c_img_q;  // accumulator row of the slot, of its line's first and its image's first
  logic [1:0]         recent_q;
  logic [1:0][15:0]   recent_addr_q;
  logic               hazard_q;   // the slot's accumulator row is on its way
  logic               reads_w_q;  // the instruction's slots read W
  logic               px_one_q, line_one_q, i_one_q;  // one pixel in a line, one line, one image; or no images
  logic               scatters_q;                 // accumulator rows follow the strided side
  logic [15:0]        c_step_x_q, c_step_i_q;
  logic [DitherBits-1:0] dither_q, dither_first_q, dither_img_q;  // of the pixel, of its line's first and its image's first
  logic               step, image_last, pass_last, in_range;
  logic [15:0]        line_offset, stride, a_offset, c_first, c_x, c_y, c_i;
  logic               unused_instr;

  assign unused_instr = ^{instr_i.opcode, instr_i.wait_, instr_i.signal_, instr_i.spare, instr_i.transpose, instr_i.hold_weights,
                          instr_i.use_blocks, instr_i.clip, instr_i.product, instr_i.n_kb, instr_i.n_red, instr_i.n_ky,
                          instr_i.n_kx, instr_i.n_img, instr_i.oy, instr_i.ox, instr_i.a_base, instr_i.a_step_red,
                          instr_i.b_base, instr_i.b_step_kb, instr_i.b_step_red, instr_i.b_step_tap, instr_i.c_base,
                          instr_i.c_step_kb, instr_i.c_step_red, instr_i.idx_base, instr_i.slot, instr_i.blocks_base, instr_i.a_drop,
                          instr_i.b_drop, instr_i.c_step_tap, instr_i.c_step_pair};

  assign stride     = 16'(instr_i.stride);
  assign line_offset = line_offset_q + line_step_q;

  assign image_last = px_last_q && lines_last_q;
  assign pass_last = image_last && i_last_q;
  assign in_range  = sy_q >= 0 && sy_q < signed'(16'(instr_i.h)) && sx_q >= 0 && sx_q < signed'(16'(instr_i.w));

  assign a_offset = instr_i.scatter ? plain_q : offset_q;
  assign a_addr_o = a_q + a_offset;
  assign w_addr_o = w_q + plain_q;
  assign c_addr_o = c_q;

  // The accumulator row of a pass's first slot, of the next slot in the line, of the next line's first where that is not just
  // the next row, of the next image's.
  assign c_first = pass_c_i + (scatters_q ? pass_offset_i : '0);
  assign c_x     = c_q + c_step_x_q;
  assign c_y     = c_row_q + row_step_i;
  assign c_i     = c_img_q + c_step_i_q;

  assign step = active_q && !hazard_q;

  assign slot_o   = step && !empty_q;
  assign inside_o = slot_o && in_range;
  assign a_ren_o  = inside_o;
  assign w_ren_o  = instr_i.os ? slot_o && !ahead_q : instr_i.select && inside_o;
  assign acc_o    = slot_o && !instr_i.os && (in_range || !(instr_i.scatter || instr_i.acc_max));
  assign mul_o    = !instr_i.os ? acc_o : instr_i.pair ? slot_o && !ahead_q && (in_range || before_q) : inside_o;
  assign swap_o   = step && swap_q;
  assign last_o   = step && instr_i.os && pass_last;
  assign tap_o    = tap_q;
  assign dither_o = dither_q;

  assign pass_taken_o = pass_ready_i && !gap_on_q && (!active_q || (step && pass_last && !instr_i.os));
  assign busy_o       = active_q || gap_on_q;
  assign swap_wait_o  = active_q && swap_q;
  assign w_claim_o    = active_q && reads_w_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      active_q <= 1'b0;
      swap_q   <= 1'b0;
      gap_q    <= '0;
      gap_on_q <= 1'b0;
      recent_q <= '0;
    end else begin
      if (pass_taken_o) active_q <= 1'b1;
      else if (step && pass_last) active_q <= 1'b0;
      if (pass_taken_o) swap_q <= pass_load_i;
      else if (step) swap_q <= 1'b0;
      if (last_o) gap_q <= GapW'(instr_i.pair ? 2 * G - 1 : G - 1);
      else if (gap_on_q) gap_q <= gap_q - 1'b1;
      gap_on_q <= last_o || gap_q[GapW-1:1] != '0;
      recent_q <= {recent_q[0], acc_o};
    end
  end

  // Settings stand for cycles before the first pass.
  always_ff @(posedge clk_i) begin
    reads_w_q  <= instr_i.os || instr_i.select;
    empty_q    <= images_i == '0;
    px_count_q    <= 11'(instr_i.down ? instr_i.n_y : instr_i.n_x) + 11'(instr_i.pair);
    line_count_q  <= instr_i.down ? instr_i.n_x : instr_i.n_y;
    px_one_q      <= (instr_i.n_x == 10'd1 && !instr_i.pair) || images_i == '0;
    line_one_q    <= (instr_i.down ? instr_i.n_x : instr_i.n_y) == 10'd1 || images_i == '0;
    plain_px_q    <= instr_i.down ? 16'(instr_i.n_x) : 16'd1;
    px_step_q     <= instr_i.down ? row_step_i : stride;
    line_step_q   <= instr_i.down ? stride : row_step_i;
    dither_px_q   <= instr_i.down ? DitherRow : DitherColumn;
    dither_line_q <= instr_i.down ? DitherColumn : DitherRow;
    i_one_q    <= images_i[11:1] == '0;
    scatters_q <= instr_i.scatter && !instr_i.os;
    c_step_x_q <= instr_i.os ? '0 : instr_i.scatter ? stride : 16'd1;
    c_step_i_q <= instr_i.os ? '0 : instr_i.c_step_img;
  end

  always_ff @(posedge clk_i) begin
    if (recent_q[0]) recent_addr_q[1] <= recent_addr_q[0];
    if (acc_o) recent_addr_q[0] <= c_addr_o;
  end

  // Whether a row that may be the next cycle's was accumulated into in this one or the two before it: all are looked at while
  // it is not yet known which comes, so that nothing but a register holds a slot up.
  function automatic logic on_its_way(logic [15:0] row, logic acc, logic [15:0] acc_row, logic [1:0] recent,
                                      logic [1:0][15:0] recent_row);
    return (acc && row == acc_row) || (recent[0] && row == recent_row[0]) || (recent[1] && row == recent_row[1]);
  endfunction

  always_ff @(posedge clk_i) begin
    if (pass_taken_o) hazard_q <= on_its_way(c_first, acc_o, c_q, recent_q, recent_addr_q);
    else if (!step) hazard_q <= on_its_way(c_q, 1'b0, c_q, recent_q, recent_addr_q);
    else if (image_last) hazard_q <= on_its_way(c_i, acc_o, c_q, recent_q, recent_addr_q);
    else if (px_last_q && scatters_q) hazard_q <= on_its_way(c_y, acc_o, c_q, recent_q, recent_addr_q);
    else hazard_q <= on_its_way(c_x, acc_o, c_q, recent_q, recent_addr_q);
  end

  // Bases of a pass, and of the image it is at.
  always_ff @(posedge clk_i) begin
    if (pass_taken_o) begin
      tap_q      <= pass_tap_i;
      sy_start_q <= signed'(pass_sy_i);
      sx_start_q <= signed'(pass_sx_i);
      start_q    <= pass_offset_i;
      a_q        <= pass_a_i;
      w_q        <= pass_w_i;
    end else if (step && image_last) begin
      a_q <= a_q + instr_i.a_step_img;
      w_q <= w_q + (instr_i.os ? instr_i.b_step_img : instr_i.a_step_img);
    end
  end

  // The accumulator row.
  always_ff @(posedge clk_i) begin
    if (pass_taken_o) begin
      c_q     <= c_first;
      c_row_q <= c_first;
      c_img_q <= c_first;
    end else if (step && image_last) begin
      c_q     <= c_i;
      c_row_q <= c_i;
      c_img_q <= c_i;
    end else if (step && px_last_q && scatters_q) begin
      c_q     <= c_y;
      c_row_q <= c_y;
    end else if (step) begin
      c_q <= c_x;
    end
  end

  // The pixel.
  always_ff @(posedge clk_i) begin
    if (pass_taken_o) begin
      px_left_q    <= px_count_q;
      line_left_q  <= line_count_q;
      i_left_q     <= images_i;
      ahead_q      <= instr_i.pair;
      px_last_q    <= px_one_q;
      lines_last_q <= line_one_q;
      i_last_q     <= i_one_q;
      plain_q      <= '0;
      plain_line_q <= '0;
      sy_q         <= signed'(pass_sy_i);
      sx_q         <= signed'(pass_sx_i);
      offset_q     <= pass_offset_i;
      line_offset_q <= pass_offset_i;
    end else if (step) begin
      px_left_q <= px_last_q ? px_count_q : px_left_q - 11'd1;
      px_last_q <= px_last_q ? px_one_q : px_left_q == 11'd2;
      if (image_last) begin
        plain_q      <= '0;
        plain_line_q <= '0;
      end else if (px_last_q) begin
        plain_q      <= instr_i.down ? plain_line_q + 16'd1 : plain_q + 16'd1;
        plain_line_q <= plain_line_q + 16'd1;
      end else if (!ahead_q) begin
        plain_q      <= plain_q + plain_px_q;
      end
      ahead_q  <= px_last_q && instr_i.pair;
      before_q <= in_range;
      if (!px_last_q) begin
        offset_q <= offset_q + px_step_q;
        if (instr_i.down) sy_q <= sy_q + signed'(stride);
        else sx_q <= sx_q + signed'(stride);
      end else if (!lines_last_q) begin
        line_left_q  <= line_left_q - 10'd1;
        lines_last_q <= line_left_q == 10'd2;
        sy_q         <= instr_i.down ? sy_start_q : sy_q + signed'(stride);
        sx_q         <= instr_i.down ? sx_q + signed'(stride) : sx_start_q;
        offset_q     <= line_offset;
        line_offset_q <= line_offset;
      end else begin
        line_left_q  <= line_count_q;
        lines_last_q <= line_one_q;
        i_left_q     <= i_left_q - 12'd1;
        i_last_q     <= i_left_q == 12'd2;
        sy_q         <= sy_start_q;
        sx_q         <= sx_start_q;
        offset_q     <= start_q;
        line_offset_q <= start_q;
      end
    end
  end

  // The dither advances by a step of its own in each direction.
  always_ff @(posedge clk_i) begin
    if (pass_taken_o) begin
      dither_q     <= instr_i.dither;
      dither_first_q <= instr_i.dither;
      dither_img_q <= instr_i.dither;
    end else if (step && image_last) begin
      dither_q     <= dither_img_q + DitherImage;
      dither_first_q <= dither_img_q + DitherImage;
      dither_img_q <= dither_img_q + DitherImage;
    end else if (step && px_last_q) begin
      dither_q     <= dither_first_q + dither_line_q;
      dither_first_q <= dither_first_q + dither_line_q;
    end else if (step && !ahead_q) begin
      dither_q <= dither_q + dither_px_q;
    end
  end

`ifndef SYNTHESIS
  NoSlotWhileDrainingA : assert property (@(posedge clk_i) disable iff (!rst_ni) gap_on_q |-> !active_q);
  GapOnA : assert property (@(posedge clk_i) disable iff (!rst_ni) gap_on_q == (gap_q != '0));
`endif

endmodule
