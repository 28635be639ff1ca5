// The arithmetic pipeline of the vector unit, G lanes.
//
//   y   = round((A[l] * to_operand(u) + B[l] * to_operand(v) + D[l]) / 2^shift)
//   out = post(y), zero where the mask is 0, saturated to +-127 or +-(2^23 - 1)
//
// stage k is the cycle k after the issue of a vector's (last) reads: 1 capture, 2 shift and saturate
// operands, 3 products, 4 and 5 sums, 6 shift, 7 round, 8 threshold, 9 post, mask and saturation; results
// stand from cycle 10 on. `stage_i[k]` moves the registers of stage k, nothing stalls.
// After stage 6 a value has 34 integer bits, or is marked as larger: thresholds have 32 bits and the clamp
// is at 2^31 - 1, so nothing above can differ. Throughput one vector per cycle.
// Golden: algo/arithmetic.py to_operand(), affine(); hw/golden_vector.py execute_vector().

module vector_lanes #(
  parameter  int unsigned G = 16,
  localparam int unsigned LaneW = $clog2(G)
) (
  input  logic              clk_i,

  // Settings of the instruction.
  input  logic [2:0]        u_src_i,
  input  logic [1:0]        v_src_i,
  input  logic [4:0]        su_i,
  input  logic [4:0]        sv_i,
  input  logic [5:0]        shift_i,
  input  logic              stochastic_i,
  input  logic [1:0]        post_i,
  input  logic [31:0]       threshold_i,
  input  logic              mask_in_i,
  input  logic              dst_wide_i,
  input  logic              sums_v_i,
  input  logic              max_i,

  // Coefficients: A and B, or D, of one lane or of all.
  input  logic              ab_we_i,
  input  logic              d_we_i,
  input  logic              all_lanes_i,
  input  logic [LaneW-1:0]  lane_i,
  input  logic [17:0]       a_i,
  input  logic [17:0]       b_i,
  input  logic [47:0]       d_i,

  // Operands: quarter q of the lanes takes its operand when bit q is set.
  input  logic [9:1]        stage_i,
  input  logic [3:0]        u_capture_i,
  input  logic [3:0]        v_capture_i,
  input  logic [G*8-1:0]    u_rdata_i,
  input  logic [G*8-1:0]    v_rdata_i,
  input  logic [G*32-1:0]   acc_rdata_i,
  input  logic [G*16-1:0]   noise_i,  // in stage 7
  input  logic [G-1:0]      mask_i,   // in stage 9

  output logic [G-1:0]      positive_o,  // y > 0, in stage 9
  output logic [G*24-1:0]   out_o,       // from here on in cycle 10
  output logic [G*8-1:0]    v_low_o,     // low byte of v
  output logic [G*32-1:0]   key_o        // {|y| as ones' complement, sign}
);

  localparam int unsigned Quarter = G / 4;

  function automatic logic signed [24:0] to_operand(logic signed [31:0] x, logic [4:0] shift);
    logic signed [31:0] shifted;
    shifted = x >>> shift;
    if (shifted[31:24] == {8{shifted[31]}}) return shifted[24:0];
    return {shifted[31], {24{~shifted[31]}}};
  endfunction

  function automatic logic signed [31:0] u_value(logic [2:0] source, logic [7:0] narrow,
                                                 logic [31:0] wide, logic signed [31:0] acc);
    unique case (source)
      3'd1:    return 32'(signed'(narrow));
      3'd2:    return wide;
      3'd3:    return acc;
      3'd4:    return (acc >>> 8) - 32'sd128;
      3'd5:    return {24'd0, ~acc[7:0]};
      default: return '0;
    endcase
  endfunction

  logic signed [17:0] a_q [G], b_q [G];
  logic signed [47:0] d_q [G];
  logic signed [31:0] u_raw_q [G], v_raw_q [G];
  logic signed [24:0] u_q [G], v_q [G], v_late_q [G];
  logic signed [42:0] au_q [G], bv_q [G];
  logic signed [47:0] part_q [G], sum_q [G];
  logic signed [49:0] scaled_q [G];
  logic signed [34:0] y_q [G], z_q [G];
  logic [G-1:0]       neg6_q, over6_q, neg7_q, over7_q, neg8_q, over8_q;
  logic [G*8-1:0]     v_low_q [7];
  logic [31:0]        threshold;

  assign threshold = post_i == 2'd3 ? threshold_i : '0;

  always_ff @(posedge clk_i) begin
    for (int unsigned l = 0; l < G; l++) begin
      if (ab_we_i && (all_lanes_i || lane_i == LaneW'(l))) begin
        a_q[l] <= a_i;
        b_q[l] <= b_i;
      end
      if (d_we_i && (all_lanes_i || lane_i == LaneW'(l))) d_q[l] <= d_i;
    end
  end

  // Stages 1 to 5: operands and the affine sum, in the steps of two cascaded DSP slices.
  always_ff @(posedge clk_i) begin
    for (int unsigned l = 0; l < G; l++) begin
      if (u_capture_i[l/Quarter]) begin
        u_raw_q[l] <= u_value(u_src_i, u_rdata_i[l*8+:8], u_rdata_i[(l%Quarter)*32+:32],
                              acc_rdata_i[l*32+:32]);
      end
      if (v_capture_i[l/Quarter]) begin
        v_raw_q[l] <= u_value({1'b0, v_src_i}, v_rdata_i[l*8+:8], v_rdata_i[(l%Quarter)*32+:32], '0);
      end
    end
    if (stage_i[2]) begin
      for (int unsigned l = 0; l < G; l++) begin
        u_q[l] <= to_operand(u_raw_q[l], su_i);
        v_q[l] <= to_operand(v_raw_q[l], sv_i);
      end
    end
    if (stage_i[3]) begin
      for (int unsigned l = 0; l < G; l++) begin
        au_q[l]     <= a_q[l] * u_q[l];
        v_late_q[l] <= v_q[l];
      end
    end
    if (stage_i[4]) begin
      for (int unsigned l = 0; l < G; l++) begin
        part_q[l] <= 48'(au_q[l]) + d_q[l];
        bv_q[l]   <= b_q[l] * v_late_q[l];
      end
    end
    if (stage_i[5]) begin
      for (int unsigned l = 0; l < G; l++) sum_q[l] <= part_q[l] + 48'(bv_q[l]);
    end
  end

  // The low byte of v goes along for the sums of products.
  always_ff @(posedge clk_i) begin
    if (sums_v_i) begin
      if (stage_i[2]) begin
        for (int unsigned l = 0; l < G; l++) v_low_q[0][l*8+:8] <= v_raw_q[l][7:0];
      end
      for (int unsigned k = 1; k < 7; k++) begin
        if (stage_i[k+2]) v_low_q[k] <= v_low_q[k-1];
      end
      if (stage_i[9]) v_low_o <= v_low_q[6];
    end
  end

  // Stages 6 to 8: shift with 16 fraction bits, round, threshold towards zero.
  always_ff @(posedge clk_i) begin
    if (stage_i[6]) begin
      for (int unsigned l = 0; l < G; l++) begin
        automatic logic signed [63:0] shifted = signed'({sum_q[l], 16'd0}) >>> shift_i;
        scaled_q[l] <= shifted[49:0];
        neg6_q[l]   <= sum_q[l][47];
        over6_q[l]  <= shifted[63:49] != {15{sum_q[l][47]}};
      end
    end
    if (stage_i[7]) begin
      for (int unsigned l = 0; l < G; l++) begin
        automatic logic [15:0] add = stochastic_i ? noise_i[l*16+:16] : 16'h8000;
        y_q[l] <= 35'((51'(scaled_q[l]) + signed'(51'(add))) >>> 16);
      end
      neg7_q  <= neg6_q;
      over7_q <= over6_q;
    end
    if (stage_i[8]) begin
      for (int unsigned l = 0; l < G; l++) begin
        z_q[l]    <= y_q[l] + (y_q[l][34] ? 35'(threshold) : -35'(threshold));
        neg8_q[l] <= over7_q[l] ? neg7_q[l] : y_q[l][34];
      end
      over8_q <= over7_q;
    end
  end

  // Stage 9: a value of which the threshold or relu leaves nothing, or whose mask is 0, is zero.
  logic [G-1:0] nonzero;

  always_comb begin
    for (int unsigned l = 0; l < G; l++) begin
      automatic logic crossed = z_q[l][34] != neg8_q[l];
      nonzero[l] = (over8_q[l] || (!crossed && z_q[l] != '0)) && !(post_i == 2'd1 && neg8_q[l])
                   && !(mask_in_i && !mask_i[l]);
    end
  end

  assign positive_o = nonzero & ~neg8_q;

  function automatic logic [23:0] saturated(logic signed [34:0] z, logic over, logic neg, logic wide);
    logic big_wide, big_narrow;
    big_wide   = over || z[34:23] != {12{neg}} || (neg && z[22:0] == '0);
    big_narrow = over || z[34:7] != {28{neg}} || (neg && z[6:0] == '0);
    if (wide) return big_wide ? {neg, {22{~neg}}, 1'b1} : z[23:0];
    return big_narrow ? {{17{neg}}, {6{~neg}}, 1'b1} : z[23:0];
  endfunction

  always_ff @(posedge clk_i) begin
    if (stage_i[9]) begin
      for (int unsigned l = 0; l < G; l++) begin
        if (!nonzero[l]) out_o[l*24+:24] <= '0;
        else if (post_i == 2'd2) out_o[l*24+:24] <= {{23{neg8_q[l]}}, 1'b1};
        else out_o[l*24+:24] <= saturated(z_q[l], over8_q[l], neg8_q[l], dst_wide_i);
      end
    end
    if (stage_i[9] && max_i) begin
      for (int unsigned l = 0; l < G; l++) begin
        if (!nonzero[l]) key_o[l*32+:32] <= '0;
        else if (post_i == 2'd2) key_o[l*32+:32] <= neg8_q[l] ? 32'd1 : 32'd2;
        else if (over8_q[l] || z_q[l][34:31] != {4{neg8_q[l]}}) key_o[l*32+:32] <= '1;
        else key_o[l*32+:32] <= {z_q[l][30:0] ^ {31{neg8_q[l]}}, neg8_q[l]};
      end
    end
  end

endmodule
