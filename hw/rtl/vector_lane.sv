// One lane of the vector unit's arithmetic.
//
//   y   = round((A * to_operand(u) + B * v + D) / 2^shift)
//   out = post(y), zero where the mask is 0, saturated to +-127 or +-(2^23 - 1), or one byte of it:
//   saturated to [-32640, 32639] it is 256 high + low, both signed, high in +-127 and low from -128 on
//   positive = A * to_operand(u) + B * v + D > 0, before it is rounded, unless the mask is 0
//
// stage k is the cycle k after the issue of a vector's (last) reads: 1 capture, 2 shift and saturate u,
// 3 to 5 the sum in two cascaded DSP slices, 6 shift, 7 round, 8 threshold, 9 post, mask and saturation;
// results stand from cycle 10 on. `stage_i[k]` moves the registers of stage k, nothing stalls.
// After stage 6 a value has 34 integer bits, or is marked as larger: thresholds have 32 bits and the clamp
// is at 2^31 - 1, so nothing above can differ. Throughput one vector per cycle.
// Golden: algo/arithmetic.py to_operand(), affine(), above_zero(), split16(); hw/golden_vector.py execute_vector().

module vector_lane (
  input  logic               clk_i,

  // Settings of the instruction.
  input  logic [2:0]         u_src_i,
  input  logic [4:0]         su_i,
  input  logic [6:0]         u_keep_i,           // bit i: i >= su
  input  logic [5:0]         shift_i,
  input  logic [13:0]        sum_keep_i,         // bit i: i >= shift
  input  logic               relu_i,
  input  logic               sign_i,
  input  logic signed [34:0] threshold_i,        // 0 without soft threshold
  input  logic signed [34:0] minus_threshold_i,
  input  logic               mask_in_i,
  input  logic               dst_wide_i,
  input  logic [1:0]         byte_i,             // 1 high, 2 low; 0 with dst_wide
  input  logic               max_i,

  input  logic               ab_we_i,
  input  logic               d_we_i,
  input  logic [17:0]        a_i,
  input  logic [17:0]        b_i,
  input  logic [47:0]        d_i,

  input  logic [9:2]         stage_i,
  input  logic               u_capture_i,        // in stage 1
  input  logic [7:0]         u_narrow_i,
  input  logic [31:0]        u_wide_i,
  input  logic [31:0]        acc_i,
  input  logic signed [24:0] v_i,                // shifted and saturated, in stage 2
  input  logic [15:0]        noise_i,            // in stage 7; one half where nothing is drawn
  input  logic               mask_i,             // in stage 9

  output logic               positive_o,         // from here on in cycle 10
  output logic [23:0]        out_o,              // above a byte the sign of y
  output logic [31:0]        key_o               // {|y| as ones' complement, sign}, at most 2^31 - 1
);

  logic signed [17:0] a_q, b_q;
  logic signed [47:0] d_q;

  always_ff @(posedge clk_i) begin
    if (ab_we_i) begin
      a_q <= a_i;
      b_q <= b_i;
    end
    if (d_we_i) d_q <= d_i;
  end

  // Stage 1 and 2: the operand u; 4 is the value and 5 the index that the array's maximum keeps.
  logic [7:0]         u_low;
  logic signed [31:0] u_value, u_raw_q;
  logic signed [24:0] u_shifted;
  logic signed [24:0] u_q;

  always_comb begin
    unique case (u_src_i)
      3'd1:    u_low = u_narrow_i;
      3'd4:    u_low = acc_i[15:8] ^ 8'h80;
      3'd5:    u_low = ~acc_i[7:0];
      default: u_low = '0;
    endcase
    unique case (u_src_i)
      3'd2:    u_value = u_wide_i;
      3'd3:    u_value = acc_i;
      default: u_value = {{24{u_low[7] && u_src_i != 3'd5}}, u_low};
    endcase
  end

  assign u_shifted = 25'(u_raw_q >>> su_i);

  always_ff @(posedge clk_i) begin
    if (u_capture_i) u_raw_q <= u_value;
    if (stage_i[2]) begin
      if (((u_raw_q[30:24] ^ {7{u_raw_q[31]}}) & u_keep_i) == '0) u_q <= u_shifted;
      else u_q <= {u_raw_q[31], {24{~u_raw_q[31]}}};
    end
  end

  // Stages 3 to 5: P1 = A u + D, one cycle later P2 = B v + P1.
  logic signed [24:0] v_q, v_late_q;
  logic signed [42:0] au_q, bv_q;
  logic signed [47:0] part_q, sum_q;

  always_ff @(posedge clk_i) begin
    if (stage_i[2]) v_q <= v_i;
    if (stage_i[3]) begin
      au_q     <= a_q * u_q;
      v_late_q <= v_q;
    end
    if (stage_i[4]) begin
      part_q <= 48'(au_q) + d_q;
      bv_q   <= b_q * v_late_q;
    end
    if (stage_i[5]) sum_q <= part_q + 48'(bv_q);
  end

  // Stage 6: shift by 16s, 4s and 2s with 16 fraction bits; `over` where an integer bit above the 34th
  // differs from the sign. The last place is shifted on the way into the next stage's adder, whose LUTs have room for it.
  logic               sum_neg, neg6_q, over6_q, above6_q;
  logic signed [63:0] by16;
  logic signed [52:0] by4;
  logic signed [50:0] scaled_q;
  logic signed [49:0] scaled;

  assign sum_neg = sum_q[47];

  always_comb begin
    unique case (shift_i[5:4])
      2'd0:    by16 = {sum_q, 16'd0};
      2'd1:    by16 = {{16{sum_neg}}, sum_q};
      2'd2:    by16 = {{32{sum_neg}}, sum_q[47:16]};
      default: by16 = {{48{sum_neg}}, sum_q[47:32]};
    endcase
    by4 = 53'(by16 >>> {shift_i[3:2], 2'd0});
  end

  always_ff @(posedge clk_i) begin
    if (stage_i[6]) begin
      scaled_q <= 51'(by4 >>> {shift_i[1], 1'b0});
      neg6_q   <= sum_neg;
      above6_q <= !sum_neg && sum_q != '0;
      over6_q  <= ((sum_q[46:33] ^ {14{sum_neg}}) & sum_keep_i) != '0;
    end
  end

  // Stages 7 and 8: round, and move by the threshold towards zero.
  logic signed [34:0] y_q, z_q;
  logic               neg7_q, over7_q, above7_q, neg8_q, over8_q, above8_q;

  assign scaled = shift_i[0] ? scaled_q[50:1] : scaled_q[49:0];

  always_ff @(posedge clk_i) begin
    if (stage_i[7]) begin
      y_q      <= 35'((signed'({35'd0, noise_i}) + 51'(scaled)) >>> 16);
      neg7_q   <= neg6_q;
      over7_q  <= over6_q;
      above7_q <= above6_q;
    end
    if (stage_i[8]) begin
      z_q      <= y_q + (y_q[34] ? threshold_i : minus_threshold_i);
      neg8_q   <= over7_q ? neg7_q : y_q[34];
      over8_q  <= over7_q;
      above8_q <= above7_q;
    end
  end

  // Stage 9: a value of which the threshold or relu leaves nothing, or whose mask is 0, is zero. beyond_k: a bit from the k-th up is
  // not the sign. The limits of 16 bits are each other's ones' complement; the low byte is that of y itself, and where it is
  // negative, the high one is one more than y's.
  logic        kept, nonzero, high, low, beyond_31, beyond_23, beyond_15, beyond_7, big_wide, big_narrow, big_split, big;
  logic [7:0]  high_byte;
  logic [23:0] limited;

  assign high       = byte_i[0];
  assign low        = byte_i[1];
  assign kept       = mask_i || !mask_in_i;
  assign nonzero    = (over8_q || (z_q[34] == neg8_q && z_q != '0)) && !(relu_i && neg8_q) && kept;
  assign beyond_31  = over8_q || z_q[34:31] != {4{neg8_q}};
  assign beyond_23  = beyond_31 || z_q[30:23] != {8{neg8_q}};
  assign beyond_15  = beyond_23 || z_q[22:15] != {8{neg8_q}};
  assign beyond_7   = beyond_15 || z_q[14:7] != {8{neg8_q}};
  assign big_wide   = beyond_23 || (neg8_q && z_q[22:0] == '0);
  assign big_narrow = beyond_7 || (neg8_q && z_q[6:0] == '0);
  assign big_split  = beyond_15 || z_q[14:7] == {8{~neg8_q}};
  assign high_byte  = z_q[15:8] + 8'(z_q[7]);

  always_comb begin
    big = high || low ? big_split : dst_wide_i ? big_wide : big_narrow;
    limited = z_q[23:0];
    if (high) limited[7:0] = high_byte;
    if (high || low || (big && !dst_wide_i)) limited[23:8] = {16{neg8_q}};
    if (big) limited[7:0] = {neg8_q, {6{~neg8_q}}, !(low && neg8_q)};
    if (big && dst_wide_i) limited[23:7] = {neg8_q, {16{~neg8_q}}};
  end

  always_ff @(posedge clk_i) begin
    if (stage_i[9]) begin
      if (!nonzero || (sign_i && high)) out_o <= '0;
      else if (sign_i) out_o <= {{23{neg8_q}}, 1'b1};
      else out_o <= limited;
      positive_o <= above8_q && kept;
    end
    if (stage_i[9] && max_i) begin
      if (!nonzero) key_o <= '0;
      else if (sign_i) key_o <= neg8_q ? 32'd1 : 32'd2;
      else if (beyond_31) key_o <= {{31{1'b1}}, 1'b0};
      else key_o <= {z_q[30:0] ^ {31{neg8_q}}, neg8_q && z_q[30:0] != '0};
    end
  end

endmodule
