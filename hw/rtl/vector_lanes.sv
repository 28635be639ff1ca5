// The arithmetic pipeline of the vector unit: G lanes, and what they share.
//
// A 32-bit v arrives in quarters of the lanes, so G / 4 shifters behind a register serve all of them; the low byte of v goes
// along to cycle 10 for the sums of products. Stages and equations: vector_lane.sv.
// Throughput one vector per cycle. Golden: hw/golden_vector.py execute_vector().

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
  input  logic [1:0]        post_i,
  input  logic              sign_of_i,
  input  logic [31:0]       threshold_i,
  input  logic              mask_in_i,
  input  logic              dst_wide_i,
  input  logic [1:0]        byte_i,
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
  input  logic [9:2]        stage_i,
  input  logic [3:0]        u_capture_i,
  input  logic [3:0]        v_capture_i,
  input  logic [G*8-1:0]    u_rdata_i,
  input  logic [G*8-1:0]    v_rdata_i,
  input  logic [G*32-1:0]   acc_rdata_i,
  input  logic [G*16-1:0]   noise_i,  // in stage 7
  input  logic [G-1:0]      mask_i,   // in stage 9

  output logic [G-1:0]      positive_o,  // y > 0; from here on in cycle 10
  output logic [G*24-1:0]   out_o,
  output logic [G*8-1:0]    v_low_o,     // low byte of v
  output logic [G*32-1:0]   key_o        // {|y| as ones' complement, sign}
);

  localparam int unsigned Quarter = G / 4;

  // keep: bits from the 25th upwards that the shift does not take out; all must be the sign.
  function automatic logic signed [24:0] to_operand(logic signed [31:0] x, logic [4:0] shift, logic [6:0] keep);
    if (((x[30:24] ^ {7{x[31]}}) & keep) == '0) return 25'(x >>> shift);
    return {x[31], {24{~x[31]}}};
  endfunction

  logic signed [34:0]    threshold_q, minus_threshold_q;
  logic [6:0]            u_keep_q, v_keep_q;  // bits of u and v from the 25th upwards that su and sv do not shift out
  logic [13:0]           sum_keep_q;   // bits of the sum from the 34th upwards that shift leaves above the 34 integer bits
  logic                  v_wide_q, v_narrow_q;
  logic [3:0]            v_captured_q;
  logic [Quarter*32-1:0] v_raw_q;      // of the quarter that came last
  logic [Quarter*25-1:0] v_wide;
  logic [G*8-1:0]        v_byte_q;     // the low byte of v

  // Settings stand for cycles before the first vector.
  always_ff @(posedge clk_i) begin
    threshold_q       <= post_i == 2'd3 ? signed'({3'd0, threshold_i}) : '0;
    minus_threshold_q <= -threshold_q;
    v_wide_q          <= v_src_i == 2'd2;
    v_narrow_q        <= v_src_i == 2'd1;
    for (int unsigned i = 0; i < 7; i++) begin
      u_keep_q[i] <= 5'(i) >= su_i;
      v_keep_q[i] <= 5'(i) >= sv_i;
    end
    for (int unsigned i = 0; i < 14; i++) sum_keep_q[i] <= 6'(i) >= shift_i;
  end

  // Stage 1: what comes. Stage 2 shifts and saturates it; the last quarter of a wide v goes on at once.
  always_ff @(posedge clk_i) begin
    v_captured_q <= v_capture_i;
    if (v_wide_q && v_capture_i != '0) v_raw_q <= v_rdata_i[Quarter*32-1:0];
  end

  always_comb begin
    for (int unsigned k = 0; k < Quarter; k++) v_wide[k*25+:25] = to_operand(v_raw_q[k*32+:32], sv_i, v_keep_q);
  end

  for (genvar l = 0; l < G; l++) begin : gen_lane
    logic              ours;
    logic signed [7:0] v_narrow;
    logic [24:0]       v_first;  // of a wide v

    assign ours     = all_lanes_i || lane_i == LaneW'(l);
    assign v_narrow = signed'(v_byte_q[l*8+:8]) >>> sv_i;

    if (l / Quarter == 3) begin : gen_at_once
      assign v_first = v_wide[(l%Quarter)*25+:25];
    end else begin : gen_kept
      always_ff @(posedge clk_i) begin
        if (v_wide_q && v_captured_q[l/Quarter]) v_first <= v_wide[(l%Quarter)*25+:25];
      end
    end

    vector_lane u_lane (
      .clk_i,
      .u_src_i,
      .su_i,
      .u_keep_i         (u_keep_q),
      .shift_i,
      .sum_keep_i       (sum_keep_q),
      .relu_i           (post_i == 2'd1),
      .sign_i           (post_i == 2'd2 || sign_of_i),
      .threshold_i      (threshold_q),
      .minus_threshold_i(minus_threshold_q),
      .mask_in_i,
      .dst_wide_i,
      .byte_i,
      .max_i,
      .ab_we_i          (ab_we_i && ours),
      .d_we_i           (d_we_i && ours),
      .a_i,
      .b_i,
      .d_i,
      .stage_i,
      .u_capture_i      (u_capture_i[l/Quarter]),
      .u_narrow_i       (u_rdata_i[l*8+:8]),
      .u_wide_i         (u_rdata_i[(l%Quarter)*32+:32]),
      .acc_i            (acc_rdata_i[l*32+:32]),
      .v_i              (v_wide_q ? v_first : v_narrow_q ? 25'(v_narrow) : '0),
      .noise_i          (noise_i[l*16+:16]),
      .mask_i           (mask_i[l]),
      .positive_o       (positive_o[l]),
      .out_o            (out_o[l*24+:24]),
      .key_o            (key_o[l*32+:32])
    );
  end

  // The low byte of v, captured with v and shifted along with its vector.
  logic [G*8-1:0] v_low_2_q, v_low_3_q, v_low_4_q, v_low_5_q, v_low_6_q, v_low_7_q, v_low_8_q;

  always_ff @(posedge clk_i) begin
    if (v_narrow_q || sums_v_i) begin
      for (int unsigned l = 0; l < G; l++) begin
        if (v_capture_i[l/Quarter]) v_byte_q[l*8+:8] <= v_wide_q ? v_rdata_i[(l%Quarter)*32+:8] : v_rdata_i[l*8+:8];
      end
    end
    if (sums_v_i) begin
      if (stage_i[2]) v_low_2_q <= v_narrow_q || v_wide_q ? v_byte_q : '0;
      if (stage_i[3]) v_low_3_q <= v_low_2_q;
      if (stage_i[4]) v_low_4_q <= v_low_3_q;
      if (stage_i[5]) v_low_5_q <= v_low_4_q;
      if (stage_i[6]) v_low_6_q <= v_low_5_q;
      if (stage_i[7]) v_low_7_q <= v_low_6_q;
      if (stage_i[8]) v_low_8_q <= v_low_7_q;
      if (stage_i[9]) v_low_o <= v_low_8_q;
    end
  end

endmodule
